"""One-class SVM on Patterson maps: every site of a crystal against the crowd."""
