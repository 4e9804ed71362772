import { Heading } from "../parts/heading";
import { useTitle } from "../parts/hooks";
import { t } from "../words";

export default function Lost() {
  const words = t().lost;
  useTitle(words.title);
  return (
    <div class="state">
      <p class="lost" aria-hidden="true">
        404
      </p>
      <Heading>{words.title}</Heading>
      <p>{words.next}</p>
      <div class="row">
        <a class="button" href="/">
          {words.home}
        </a>
      </div>
    </div>
  );
}
