// Every string of the tabs "Gradient" and "Speed", English and French side by side.

export const LAB = {
  slope: { en: "The gradient of one weight", fr: "Le gradient d’un poids" },
  slopeHelp: {
    en: "The curve shows the loss on the whole training set if this one weight had another value and all others stayed as they are. Its slope at the present value is the gradient: which way is downhill, and how steep.\nA step of gradient descent moves the weight against the slope: new weight = weight − learning rate × slope.",
    fr: "La courbe montre la perte sur tout l’ensemble d’entraînement si ce seul poids avait une autre valeur, les autres restant fixes. Sa pente à la valeur présente est le gradient : de quel côté on descend, et avec quelle raideur.\nUn pas de descente de gradient déplace le poids contre la pente : nouveau poids = poids − taux d’apprentissage × pente.",
  },
  weight: { en: "Weight or bias", fr: "Poids ou biais" },
  weightHelp: {
    en: "Any weight or bias of the network. You can also click a link or a neuron in the tab “Play”: it is chosen here too.",
    fr: "N’importe quel poids ou biais du réseau. Un clic sur un lien ou un neurone dans l’onglet « Jouer » le choisit aussi ici.",
  },
  weights: { en: "Weights {where}", fr: "Poids {where}" },
  biases: { en: "Biases {where}", fr: "Biais {where}" },
  toLayer: { en: "of layer {layer}", fr: "de la couche {layer}" },
  toOutput: { en: "of the output", fr: "de la sortie" },
  h: { en: "Width h of the numerical slope", fr: "Largeur h de la pente numérique" },
  hHelp: {
    en: "The numerical slope needs no calculus: compute the loss with the weight a little larger, by h, and a little smaller, by h, and divide the difference by 2h. The straight line through these two points of the curve is a secant; as h shrinks it turns into the tangent. With a tiny h the rounding of the computer’s numbers wins, and the result gets worse again.",
    fr: "La pente numérique se passe de calcul différentiel : calculer la perte avec le poids un peu plus grand, de h, puis un peu plus petit, de h, et diviser la différence par 2h. La droite par ces deux points de la courbe est une sécante ; quand h diminue, elle devient la tangente. Avec un h minuscule, les arrondis de l’ordinateur l’emportent, et le résultat redevient mauvais.",
  },
  backpropagated: { en: "Back-propagated slope", fr: "Pente par rétropropagation" },
  numerical: { en: "Numerical slope", fr: "Pente numérique" },
  difference: { en: "Difference", fr: "Écart" },
  value: { en: "Present value", fr: "Valeur présente" },
  lossNow: { en: "Loss here", fr: "Perte ici" },
  tangent: { en: "tangent: back-propagation", fr: "tangente : rétropropagation" },
  secant: { en: "secant: numerical, this h", fr: "sécante : numérique, ce h" },
  others: { en: "secants, other h", fr: "sécantes, autres h" },
  lossAxis: { en: "weight", fr: "poids" },
  plot: { en: "Loss as a function of the chosen weight", fr: "Perte en fonction du poids choisi" },
  plotSays: {
    en: "The present value is {value}, the loss {loss}, the slope {slope}. The curve goes from {low} to {high}.",
    fr: "La valeur présente est {value}, la perte {loss}, la pente {slope}. La courbe va de {low} à {high}.",
  },
  table: { en: "Numerical slope for shrinking h", fr: "Pente numérique pour h décroissant" },
  byH: { en: "h", fr: "h" },
  best: { en: "closest", fr: "au plus près" },
  downhill: {
    en: "The slope is {slope}: making this weight a little {direction} makes the loss smaller. One step at learning rate {rate} moves it by {move}.",
    fr: "La pente est {slope} : rendre ce poids un peu plus {direction} diminue la perte. Un pas au taux {rate} le déplace de {move}.",
  },
  smaller: { en: "smaller", fr: "petit" },
  larger: { en: "larger", fr: "grand" },
  flat: {
    en: "The slope is 0: this weight changes nothing here, or it sits at the bottom of a valley, or behind a neuron through which no gradient flows (ReLU at 0, sign).",
    fr: "La pente est 0 : ce poids ne change rien ici, ou il est au fond d’une vallée, ou derrière un neurone qui ne laisse passer aucun gradient (ReLU à 0, signe).",
  },
  why: {
    en: "Why back-propagation? The numerical slope costs two more runs of the whole network for each weight. Back-propagation goes through the network once backward and, by the chain rule, has the slopes of all {count} weights, exactly. The numerical slope remains the test that it was done right.",
    fr: "Pourquoi la rétropropagation ? La pente numérique coûte deux passages de plus dans tout le réseau pour chaque poids. La rétropropagation parcourt le réseau une fois à rebours et obtient, par la règle de la chaîne, les pentes des {count} poids, exactement. La pente numérique reste le test que tout est juste.",
  },

  surface: { en: "The hills and the path", fr: "Le relief et le chemin" },
  surfaceHelp: {
    en: "All weights together are a point in a space of many dimensions; the loss is the height there. This map is a cut along two directions through the present weights, which is its centre. The line is the way that the optimizer came, as far as it lies in this plane: it should lead downhill, with zigzag where the valley is narrow.\nA cut never shows all: in the other dimensions there may be ways round a hill.",
    fr: "Tous les poids ensemble sont un point dans un espace de nombreuses dimensions ; la perte y est l’altitude. Cette carte est une coupe selon deux directions passant par les poids présents, au centre. La ligne est le chemin suivi par l’optimiseur, projeté dans ce plan : il devrait descendre, en zigzag là où la vallée est étroite.\nUne coupe ne montre jamais tout : dans les autres dimensions, il peut y avoir des passages autour d’une colline.",
  },
  size: { en: "Detail", fr: "Finesse" },
  span: { en: "Extent", fr: "Étendue" },
  spanHelp: {
    en: "How far the map reaches from the present weights, as a distance in the space of all weights. Small: the ground under the feet; large: the landscape. As long as you do not touch it, it is chosen so that the path fits.",
    fr: "Jusqu’où va la carte à partir des poids présents, en distance dans l’espace de tous les poids. Petit : le sol sous les pieds ; grand : le paysage. Tant que vous n’y touchez pas, elle est choisie pour que le chemin tienne.",
  },
  explained: {
    en: "The two directions are those in which the weights have moved most (principal components of the path): {share} of the movement happens in this plane.",
    fr: "Les deux directions sont celles où les poids ont le plus bougé (composantes principales du chemin) : {share} du mouvement a lieu dans ce plan.",
  },
  random: { en: "The weights have not moved yet: two random directions.", fr: "Les poids n’ont pas encore bougé : deux directions au hasard." },
  compute: { en: "Draw the map", fr: "Dessiner la carte" },
  coarse: { en: "coarse (17 × 17)", fr: "grossier (17 × 17)" },
  medium: { en: "medium (33 × 33)", fr: "moyen (33 × 33)" },
  fine: { en: "fine (65 × 65)", fr: "fin (65 × 65)" },
  computing: { en: "Computing …", fr: "Calcul …" },
  stale: { en: "The weights have moved on since: draw the map again.", fr: "Les poids ont changé depuis : redessinez la carte." },
  surfaceSays: {
    en: "Loss from {low} to {high} over {size} × {size} points; here {here}. The path has {count} points.",
    fr: "Perte de {low} à {high} sur {size} × {size} points ; ici {here}. Le chemin a {count} points.",
  },
  mapLabel: { en: "Map of the loss along two directions", fr: "Carte de la perte selon deux directions" },
  at: { en: "{a} along the first direction, {b} along the second: loss {loss}", fr: "{a} selon la première direction, {b} selon la seconde : perte {loss}" },
  here: { en: "present weights", fr: "poids présents" },
  start: { en: "start", fr: "départ" },
  path: { en: "path of the optimizer", fr: "chemin de l’optimiseur" },
  valley: { en: "low", fr: "bas" },
  hill: { en: "high", fr: "haut" },
  noPath: { en: "Train some steps first, and the way that the optimizer took is drawn on the map.", fr: "Entraînez d’abord quelques pas : le chemin de l’optimiseur apparaîtra sur la carte." },
};

export const SPEED = {
  intro: {
    en: "How many training steps a second does this device do? The network has 2 inputs, two hidden layers of 8 tanh neurons and 1 output; a step is a batch of 32 points, forward, backward and an update of all weights by gradient descent.",
    fr: "Combien de pas d’entraînement par seconde cet appareil fait-il ? Le réseau a 2 entrées, deux couches cachées de 8 neurones tanh et 1 sortie ; un pas, c’est un lot de 32 points, aller, retour et mise à jour de tous les poids par descente de gradient.",
  },
  measure: { en: "Measure", fr: "Mesurer" },
  measuring: { en: "Measuring {what} …", fr: "Mesure : {what} …" },
  cpu: { en: "CPU", fr: "CPU" },
  gpu: { en: "WebGPU", fr: "WebGPU" },
  aSecond: { en: "steps a second", fr: "pas par seconde" },
  none: { en: "No WebGPU here: this browser or device offers none. Everything runs on the CPU.", fr: "Pas de WebGPU ici : ce navigateur ou cet appareil n’en offre pas. Tout est calculé sur le CPU." },
  notYet: { en: "not measured yet", fr: "pas encore mesuré" },
  failed: { en: "could not be measured: {why}", fr: "n’a pas pu être mesuré : {why}" },
  faster: { en: "{what} is {times} times as fast on this network.", fr: "{what} est {times} fois plus rapide sur ce réseau." },
  why: { en: "Why is the CPU so good here?", fr: "Pourquoi le CPU est-il si bon ici ?" },
  whyText: {
    en: "This network is tiny: a step is some ten thousand multiplications, less than the time that a graphics processor takes to begin. noyau therefore does many steps in one launch, in a loop of the shader. Graphics processors win where there is much to do at the same time: see the digits, and larger networks.",
    fr: "Ce réseau est minuscule : un pas, ce sont quelque dix mille multiplications, moins de temps qu’il n’en faut à un processeur graphique pour démarrer. noyau fait donc de nombreux pas en un seul lancement, dans une boucle du shader. Les processeurs graphiques gagnent là où il y a beaucoup à faire en même temps : voyez les chiffres, et des réseaux plus grands.",
  },
  how: {
    en: "Measured on this page: {rounds} rounds of {milliseconds} ms each, the median of them; data stay on the device, and no loss is read.",
    fr: "Mesuré dans cette page : {rounds} séries de {milliseconds} ms, leur médiane ; les données restent sur l’appareil, et aucune perte n’est lue.",
  },
};
