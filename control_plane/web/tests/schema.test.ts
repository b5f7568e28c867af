/** What is generated is committed: `npm run generate` makes it anew. */

import { readFileSync } from "node:fs";

import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, it } from "vitest";

it("the API's types are those of openapi.json", async () => {
  const description = new URL("../../openapi.json", import.meta.url);
  const written = readFileSync(new URL("../src/api/schema.d.ts", import.meta.url), "utf8");
  const made = await openapiTS(description, { defaultNonNullable: false });
  expect(written === `${COMMENT_HEADER}${astToString(made)}`).toBe(true);
});
