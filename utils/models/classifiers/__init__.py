"""Classifiers: one made of generative models, and the judge of MNIST's digits."""

from utils.models.classifiers.digits import DigitClassifier, digit_classifier
from utils.models.classifiers.generative import GenerativeClassifier

__all__ = ["DigitClassifier", "GenerativeClassifier", "digit_classifier"]
