// What is behind each `?`, [English, French]: a few sentences for someone who meets the word for the first time.

export const HELP = {
  speedHelp: [
    "How much the network learns between two pictures of it. An epoch is one walk through all training points.",
    "Combien le réseau apprend entre deux images. Une époque est un passage par tous les points d’entraînement.",
  ],
  deviceHelp: [
    "Where the sums are done: your graphics processor through WebGPU, or the CPU. A network this small is often as fast on the CPU; compare both under “Speed”.",
    "Où se font les calculs : votre processeur graphique par WebGPU, ou le CPU. Un réseau si petit va souvent aussi vite sur le CPU ; comparez sous « Vitesse ».",
  ],
  problemHelp: [
    "Classification: say which class a point belongs to. Regression: say which value it has.",
    "Classification : dire à quelle classe un point appartient. Régression : dire quelle valeur il a.",
  ],
  rateHelp: [
    "How far each step goes down the slope. Too small, and learning takes for ever; too large, and it jumps over the valley, to and fro.",
    "La longueur de chaque pas dans la pente. Trop petit, l’apprentissage n’en finit pas ; trop grand, il saute par-dessus la vallée.",
  ],
  optimizerHelp: [
    "How a step follows from the slope.\nSGD: straight down.\nMomentum: keeps nine tenths of the step before, as a ball that rolls.\nNesterov: the same, looking ahead.\nAdam: a rate of its own for each weight. Try a rate of 0.01.",
    "Comment la pente donne un pas.\nSGD : tout droit vers le bas.\nMomentum : garde neuf dixièmes du pas précédent, comme une balle qui roule.\nNesterov : pareil, en regardant devant.\nAdam : un taux propre à chaque poids. Essayez un taux de 0,01.",
  ],
  lossHelp: [
    "One number for how wrong the network is; learning makes it smaller.\nSquared: half the squared distance from what is right.\nCross-entropy: minus the logarithm of the probability given to the right class. It keeps a strong slope where the network is surely wrong.",
    "Un nombre qui dit à quel point le réseau se trompe ; apprendre, c’est le réduire.\nQuadratique : la moitié du carré de l’écart.\nEntropie croisée : moins le logarithme de la probabilité donnée à la bonne classe. Sa pente reste forte là où le réseau se trompe avec assurance.",
  ],
  penaltyHelp: [
    "Large weights make wild borders. A penalty keeps them small: L1 drives unneeded weights to exactly zero, L2 keeps all of them moderate.",
    "De grands poids font des frontières tourmentées. Une pénalité les retient : L1 ramène à zéro les poids inutiles, L2 les garde tous modérés.",
  ],
  penaltyRateHelp: ["How much the penalty counts beside the loss.", "Ce que pèse la pénalité à côté de la perte."],
  dropoutHelp: [
    "The share of hidden neurons that sit out each step, drawn anew each time. None can rely on another, which helps against learning by heart. Needs wide layers.",
    "La part de neurones cachés mis de côté à chaque pas, tirés au sort chaque fois. Aucun ne peut compter sur un autre, ce qui aide à ne pas apprendre par cœur. Demande des couches larges.",
  ],
  stopHelp: [
    "Training pauses by itself once the test loss is below this.",
    "L’entraînement s’arrête de lui-même quand la perte de test passe sous cette valeur.",
  ],
  classesHelp: ["How many kinds of points there are to tell apart.", "Combien de sortes de points il faut distinguer."],
  trainShareHelp: [
    "The share of points that the network learns from. The others are kept for the test: only they tell whether it has understood or learnt by heart.",
    "La part des points dont le réseau apprend. Les autres sont gardés pour le test : eux seuls disent s’il a compris ou appris par cœur.",
  ],
  noiseHelp: [
    "How far points stray from their place. With much noise no border can be perfect.",
    "De combien les points s’écartent de leur place. Avec beaucoup de bruit, aucune frontière n’est parfaite.",
  ],
  batchHelp: [
    "Points looked at for one step. Small batches make many shaky steps, large ones few steady steps.",
    "Le nombre de points regardés pour un pas. De petits lots font beaucoup de pas hésitants, de grands lots peu de pas sûrs.",
  ],
  ownHelp: [
    "Draw points with the mouse, a finger or the keys on the map; paste a table; or drop a CSV file on the page. It stays on your device, and goes into the link if you share.",
    "Dessinez des points sur la carte à la souris, au doigt ou au clavier ; collez un tableau ; ou déposez un fichier CSV sur la page. Tout reste sur votre appareil, et va dans le lien si vous partagez.",
  ],
  featuresHelp: [
    "What the network gets to see of a point (x₁, x₂). Click to choose. With squares, products or sines a small network solves what otherwise needs hidden layers.",
    "Ce que le réseau voit d’un point (x₁, x₂). Cliquez pour choisir. Avec des carrés, des produits ou des sinus, un petit réseau résout ce qui demanderait sinon des couches cachées.",
  ],
  layersHelp: [
    "Each picture is a neuron: what it answers at each place, blue above zero, orange below. Lines are weights: thick is large, dashed is negative. The small mark is the bias.\nClick a neuron or a line to change its numbers; point at a neuron to enlarge it.\nEach layer has an activation, which bends the sum: tanh, sigmoid and GELU smoothly, ReLU with a corner, sign with a jump through which no gradient flows.",
    "Chaque image est un neurone : ce qu’il répond en chaque point, bleu au-dessus de zéro, orange au-dessous. Les lignes sont les poids : épaisses s’ils sont grands, en tirets s’ils sont négatifs. La petite marque est le biais.\nCliquez un neurone ou une ligne pour changer ses nombres ; pointez un neurone pour l’agrandir.\nChaque couche a une activation, qui courbe la somme : tanh, sigmoïde et GELU en douceur, ReLU avec un coin, signe avec un saut que le gradient ne traverse pas.",
  ],
  lossesHelp: [
    "How wrong the network is: on the points that it learns from, and on those kept for the test. When the first falls and the second rises, it learns by heart.",
    "À quel point le réseau se trompe : sur les points dont il apprend, et sur ceux gardés pour le test. Si la première baisse et que la seconde monte, il apprend par cœur.",
  ],
  accuracyHelp: ["The share of test points that are given their right class.", "La part des points de test qui reçoivent la bonne classe."],
  showTestHelp: ["Draws the points kept for the test, hollow.", "Montre les points gardés pour le test, en creux."],
  discretizeHelp: ["Shows only which side wins, not how surely.", "Ne montre que le côté qui l’emporte, sans l’assurance."],
  confusionHelp: [
    "Counts of test points: the row is the true class, the column is what the network answered. All on the diagonal is perfect.",
    "Le compte des points de test : la ligne est la vraie classe, la colonne la réponse du réseau. Tout sur la diagonale est parfait.",
  ],
  exportHelp: [
    "Weights as a safetensors file, which noyau, PyTorch and others read; or the whole training as a program.",
    "Les poids dans un fichier safetensors, que lisent noyau, PyTorch et d’autres ; ou tout l’entraînement sous forme de programme.",
  ],
};
