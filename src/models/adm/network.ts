import type { Network } from "../../nn/module.ts";
import { encoderUnet } from "./classifier.ts";
import type { NetworkConfig } from "./config.ts";
import { superResUnet } from "./super-resolution.ts";
import { unet } from "./unet.ts";

/** The network of a configuration of any kind: enough to list its parameters and to start them. */
export function networkOf({ kind, config }: NetworkConfig): Network {
  switch (kind) {
    case "adm-unet":
      return unet(config);
    case "adm-super-resolution":
      return superResUnet(config);
    case "adm-classifier":
      return encoderUnet(config);
  }
}
