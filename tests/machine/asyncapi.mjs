// Reads an AsyncAPI document by the standard's own parser, and says what is wrong with it, a line each.
// Where the packages are: the first argument; the document: standard input.
import { readFileSync } from "fs";
import { createRequire } from "module";

const { Parser } = createRequire(`${process.argv[2]}/`)("@asyncapi/parser");
const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
for (const found of diagnostics) {
    // That a newer version of the standard is there is no mistake.
    if (found.code !== "asyncapi-latest-version") {
        console.log(`${found.path.join(".")}: ${found.message}`);
    }
}
console.log(`${document?.allMessages().length ?? 0} messages, ${document?.allOperations().length ?? 0} operations`);
