// Makes plot.min.js: the parts of Observable Plot that script/charts.js uses, in one file, with every licence on top.
// npm install && node build.mjs
import { build } from "esbuild";
import { readFileSync } from "node:fs";

const options = {
  entryPoints: ["entry.js"], outfile: "plot.min.js", bundle: true, minify: true, format: "iife", globalName: "Plot",
  charset: "ascii", metafile: true,
};
const { metafile } = await build({ ...options, write: false });
const inputs = Object.entries(Object.values(metafile.outputs)[0].inputs).filter(([, use]) => use.bytesInOutput);
const used = new Set(inputs.flatMap(([path]) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1] ?? []));
const texts = new Map();
for (const name of [...used].sort()) {
  const [copyright, ...terms] = readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim().split("\n");
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
  const text = terms.join("\n").trim();
  texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}: ${copyright}`]);
}
const licences = [...texts].map(([text, names]) => `${names.join("\n")}\n\n${text}`).join("\n\n");
await build({ ...options, banner: { js: `/*!\n${licences}\n*/` } });
