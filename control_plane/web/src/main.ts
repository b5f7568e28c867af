import "./styles/tokens.css";
import "./styles/base.css";

import { mount } from "svelte";

import App from "./App.svelte";

const target = document.getElementById("console");
if (!target) throw new Error("The page has no place for the console.");
mount(App, { target });
