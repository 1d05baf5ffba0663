import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { createApp } from "./app";
import { applyTheme, storedTheme } from "./lib/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/table.css";
import "./styles/run.css";
import "./styles/files.css";
import "./styles/forms.css";

applyTheme(storedTheme());

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root element");
const App = createApp();
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
