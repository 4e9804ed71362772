// Draws the PNG icons from the two SVGs: `npm run icons`, after changing one. The PNGs are kept with the sources.
import { readFileSync, writeFileSync } from "node:fs";
import { Resvg } from "@resvg/resvg-js";

const here = (name) => new URL(name, import.meta.url);

for (const [source, size, drawn] of [
  ["../public/icons/mark.svg", 192, "../public/icons/192.png"],
  ["../public/icons/mark.svg", 512, "../public/icons/512.png"],
  ["maskable.svg", 512, "../public/icons/maskable.png"],
]) {
  const image = new Resvg(readFileSync(here(source)), { fitTo: { mode: "width", value: size } }).render();
  writeFileSync(here(drawn), image.asPng());
}
