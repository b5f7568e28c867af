/** The page of `porthole open`: one desktop of a cluster, and no control plane. */

import "../styles/tokens.css";
import "../styles/base.css";

import { mount } from "svelte";

import Open from "./Open.svelte";

const target = document.getElementById("console");
if (!target) throw new Error("The page has no place for the desktop.");
mount(Open, { target });
