import { render } from "preact";
import { config } from "./api";
import { App } from "./app";
import "./styles/index.css";
import "./theme";
import { keepUpToDate } from "./updates";

void config(); // preloaded: a page that has nothing to ask yet has it for the next one
const root = document.getElementById("app");
if (root) render(<App />, root);
keepUpToDate();
