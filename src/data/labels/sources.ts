/** Where classes may be looked for. It stands alone, so that the help of commands loads nothing that decodes images. */
export const labelSources = ["from-folder", "from-name", "none"] as const;
