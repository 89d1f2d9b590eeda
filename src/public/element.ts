/**
 * `<guidestar-sampler>`, an element that draws pictures of a model, for any framework or none. Importing this module makes the element known;
 * on a server it does nothing. It needs the engine's files and a model on the page's server, as `createSampler` of `guidestar/web` does.
 *
 * ```html
 * <script type="module">
 *   import "guidestar/element";
 * </script>
 * <guidestar-sampler model="/models/digits/" class="3" scale="2" seed="7"></guidestar-sampler>
 * ```
 *
 * ```ts
 * import { GuidestarSampler } from "guidestar/element";
 *
 * console.log(typeof GuidestarSampler); // function
 * ```
 *
 * @module guidestar/element
 */

import "../web/disposal.ts";
import { defineElement } from "../web/sampler/element.ts";

export { GuidestarSampler, type PictureDetail } from "../web/sampler/element.ts";
export type { DrawingEvent } from "../web/sampler/work.ts";

defineElement();
