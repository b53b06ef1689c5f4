// Makes the types of the API from openapi.json, then dist/esm and dist/cjs from src.
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../", import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));

const types = astToString(await openapiTS(new URL("openapi.json", root)));
writeFileSync(path("src/generated/api.ts"), `// Made from openapi.json by scripts/build.mjs.\n${types}`);
if (process.argv.includes("--types")) process.exit();

rmSync(path("dist"), { recursive: true, force: true });
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const compile = (...options) =>
  execFileSync(process.execPath, [tsc, "-p", path("tsconfig.json"), ...options], { stdio: "inherit" });
compile();
compile(
  "--module",
  "CommonJS",
  "--moduleResolution",
  "Node10",
  "--verbatimModuleSyntax",
  "false",
  "--outDir",
  path("dist/cjs"),
);
writeFileSync(path("dist/cjs/package.json"), '{ "type": "commonjs" }\n');
chmodSync(path("dist/esm/bin.js"), 0o755);
