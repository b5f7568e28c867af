import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

import { wasmBeside } from "./wasm.ts";

/** The page of `porthole open`, which serves it by itself: it lies beside the command. */
export default defineConfig({
  plugins: [svelte(), wasmBeside()],
  base: "./",
  build: {
    outDir: "../../client/porthole_client/page",
    emptyOutDir: true,
    rolldownOptions: { input: "open.html" },
    target: ["chrome123", "firefox125", "safari17.5"],
    // The policy of the page forbids data: addresses for anything but pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 400,
  },
});
