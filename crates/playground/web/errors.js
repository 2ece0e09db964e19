// What the engine's errors say, in French: the engine writes English. What is not known here stays as it is.

const FRENCH = [
  [/line (\d+): /g, "ligne $1 : "],
  [/(".*") in column (\d+) is no number/, "$1, dans la colonne $2, n’est pas un nombre"],
  [/(\d+) columns where three are needed: two numbers and a label/, "$1 colonnes au lieu de trois : deux nombres et une classe"],
  [/the point (\(.*\)) has no label/, "le point $1 n’a pas de classe"],
  [/the label (".*") is no number, as the others are/, "la valeur $1 n’est pas un nombre, alors que les autres en sont"],
  [/there are (\d+) points; at least (\d+) are needed/, "il y a $1 points ; il en faut au moins $2"],
  [/there are (\d+) points; at most (\d+) can be taken/, "il y a $1 points ; $2 au plus peuvent être pris"],
  [
    /all points have the same label, (".*"): there is nothing to learn/,
    "tous les points ont la même classe, $1 : il n’y a rien à apprendre",
  ],
  [/there can be (\d+) classes/, "il peut y avoir $1 classes"],
  [/(".*") is no whole number from (\S+) to (\S+)/, "$1 n’est pas un nombre entier de $2 à $3"],
  [/(".*") is no number from (\S+) to (\S+)/, "$1 n’est pas un nombre de $2 à $3"],
  [/(".*") is none of (.*)/, "$1 n’est pas l’un de ceux-ci : $2"],
  [/(\d+) hidden layers were asked for, there can be (\d+)/, "$1 couches cachées demandées, il peut y en avoir $2"],
  [
    /the points in this address are damaged: was all of it copied\?/,
    "les points de cette adresse sont abîmés : l’avez-vous copiée en entier ?",
  ],
  [/the network has no value (\d+) of parameter (\d+)/, "le réseau n’a pas de valeur $1 du paramètre $2"],
  [/(".*") is not written as (\S+)/, "$1 n’est pas écrit comme $2"],
  [/"own" was asked for, but the address holds no points/, "« own » est demandé, mais l’adresse ne contient aucun point"],
  [
    /there are no points of your own yet: draw some, or give a table/,
    "vous n’avez pas encore de points : dessinez-en, ou donnez un tableau",
  ],
  [/Training goes on on the CPU\./, "L’entraînement continue sur le CPU."],
];

/** The library speaks of drivers and options of programs, which a browser has not. */
const HERE = [
  [
    /device gpu: not found; no driver shows a GPU; use --device cpu/,
    { en: "This browser offers no WebGPU", fr: "Ce navigateur n’offre pas WebGPU" },
  ],
];

/** What an error says to people, in a language. */
export function words(error, language) {
  const text = HERE.reduce((all, [pattern, said]) => all.replace(pattern, said[language] ?? said.en), String(error?.message ?? error));
  if (language !== "fr") return text;
  return FRENCH.reduce((all, [pattern, french]) => all.replace(pattern, french), text);
}
