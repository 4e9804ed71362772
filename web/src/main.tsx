import { render } from "preact";
import { App } from "./app";
import "./styles/index.css";
import "./theme";
import { keepUpToDate } from "./updates";

const root = document.getElementById("app");
if (root) render(<App />, root);
keepUpToDate();
