# CPython with packages in C, C++ and Fortran, which throw and catch by exceptions of WebAssembly.
import sys

import numpy
from lxml import etree
from scipy import linalg


def refused(what, action):
    try:
        print(what, action())
    except Exception as error:
        print(what, "raises", type(error).__name__)


def endless(n):
    return endless(n + 1) + 1


refused("a quotient", lambda: 1 // 0)
refused("recursion", lambda: endless(0))
refused("sum of squares", lambda: int((numpy.arange(1000) ** 2).sum()))
refused("shapes", lambda: numpy.ones((2, 3)) @ numpy.ones((2, 3)))
refused("determinant", lambda: round(linalg.det(numpy.eye(5) * 2)))
refused("inverse", lambda: linalg.inv(numpy.zeros((2, 2))))
refused("elements", lambda: len(etree.fromstring("<a><b/><c/></a>")))
refused("markup", lambda: etree.fromstring("<a><b></a>"))
sys.exit(5)
