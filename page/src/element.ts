/** `<guidestar-sampler>` for pages without a bundler: it lies beside the page as element.js. */
import "guidestar/element";
