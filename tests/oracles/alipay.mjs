// What Alipay's official SDK makes of it: one question a line, one answer a line, all JSON.
import { createInterface } from "node:readline";

import { AlipaySdk } from "alipay-sdk";
import { sign } from "./node_modules/alipay-sdk/dist/esm/util.js";

const answers = {
  // Whether it takes the fields for a notice of Alipay's.
  notice: (sdk, { fields }) => sdk.checkNotifySignV2(fields),

  // The fields of a signed request.
  request: (sdk, { method, fields, asked }) => sign(method, { ...fields, bizContent: asked }, sdk.config),

  // What the gateway answers it, or why it does not take the answer.
  call: async (sdk, { method, asked, ...urls }) => {
    try {
      return await sdk.exec(method, { bizContent: asked, ...urls }, { validateSign: true });
    } catch (error) {
      return error.message;
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, config, ...question } = JSON.parse(line);
  const answer = await answers[ask](new AlipaySdk(config), question);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
