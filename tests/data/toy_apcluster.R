# Writes toy_apcluster.json: what R's apcluster makes of the toy points. Run in this folder: Rscript toy_apcluster.R
suppressMessages(library(apcluster))

command <- "apcluster(negDistMat(r = 2), x, q = q, seed = seed)"
x <- as.matrix(read.table("toy.txt"))

run <- function(q, seed) {
  result <- eval(parse(text = command))
  sprintf(
    '    {"q": %.1f, "seed": %d, "preference": %.17g, "net_similarity": %.17g, "n_iter": %d, "exemplars": [%s]}',
    q, seed, result@p, result@netsim, result@it, paste(result@exemplars - 1, collapse = ", ")
  )
}

runs <- character(0)
for (q in (0:10) / 10) for (seed in 0:4) runs <- c(runs, run(q, seed))
writeLines(c(
  "{",
  '  "about": "What R makes of the toy points (toy.txt), written by toy_apcluster.R. Exemplars are 0-based.",',
  sprintf('  "command": "x <- as.matrix(read.table(\\"toy.txt\\")); %s",', command),
  sprintf('  "version": "%s, apcluster %s",', R.version.string, packageVersion("apcluster")),
  '  "runs": [',
  paste(runs, collapse = ",\n"),
  "  ]",
  "}"
), "toy_apcluster.json")
