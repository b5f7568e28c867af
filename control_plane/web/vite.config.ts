import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type PluginOption } from "vite";

import { wasmBeside } from "./wasm.ts";

/**
 * `npm run dev` talks to the control plane at PORTHOLE_URL, or, without one, to the scripted
 * one in `dev/`, which has a session in every phase.
 */
export default defineConfig(async ({ command, mode }) => {
  const target = process.env["PORTHOLE_URL"];
  const plugins: PluginOption[] = [svelte(), wasmBeside()];
  if (command === "serve" && mode !== "test" && !target) {
    const { scriptedControlPlane } = await import("./dev/control-plane.ts");
    plugins.push(scriptedControlPlane());
  }
  return {
    plugins,
    // Relative addresses: it may be served from any path of the control plane's host.
    base: "./",
    build: {
      outDir: "../porthole_control/console",
      emptyOutDir: true,
      target: ["chrome123", "firefox125", "safari17.5"],
      // The policy of the page forbids data: addresses for anything but pictures.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      chunkSizeWarningLimit: 400,
    },
    server: target
      ? { proxy: { "/api": { target, ws: true, changeOrigin: true } } }
      : {},
    test: { include: ["tests/**/*.test.ts"] },
  };
});
