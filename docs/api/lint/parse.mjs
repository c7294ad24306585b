// Parses an AsyncAPI document; prints what is wrong with it, and fails when it is not valid.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const ERROR = 0;
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const faults = diagnostics.filter((one) => one.severity === ERROR);
for (const one of faults) {
  console.log(`${one.path.join("/")}: ${one.message}`);
}
process.exit(document && faults.length === 0 ? 0 : 1);
