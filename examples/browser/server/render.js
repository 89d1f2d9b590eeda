// Renders a page in Node, where importing the element does nothing. The browser gets it from a bundle of its own, here /client.js.
import "guidestar/element";

/** The page of a class. */
export const render = (name) => `<!doctype html>
<html lang="en">
  <meta charset="utf-8" />
  <title>${name}</title>
  <guidestar-sampler model="/models/digits/" label="${name}" seed="7">A ${name} is being drawn.</guidestar-sampler>
  <script type="module" src="/client.js"></script>
</html>`;

console.log(render(process.argv[2] ?? "3"));
