/* round(x, digits) of floats: the double nearest to the decimal nearest to x, ties to the even digit. */
#include "boundary.h"

#include <math.h>

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define LAST_EXACT 22 /* 10**22 is the largest power of ten that is a double */

/* The integer nearest to high + low, the exact value of a product of which high is the rounded one, |high| < 2**53.
 * Beyond 2**52 only low has a fraction, and where that is a half, rounding the product has made high even. */
static double nearest(double high, double low) {
    double whole = rint(high), distance = high - whole; /* exact */
    if (distance == 0.5 || distance == -0.5) {
        if (low == 0.0) return whole; /* a tie, which rint has given to the even one */
        return distance > 0 ? (low > 0 ? floor(high) + 1 : floor(high)) : (low > 0 ? ceil(high) : ceil(high) - 1);
    }
    return whole;
}

/* x * power is high + low exactly, so the integer is the right one, and dividing it by an exact power rounds once. */
static double round_fraction(double x, double power) {
    double high = x * power, low = fma(x, power, -high);
    if (!(fabs(high) < 0x1p53)) return x; /* the digits wanted are below the last bit of x */
    return copysign(nearest(high, low) / power, x);
}

static double round_whole(double x, double power) {
    double multiple = rint(x / power), rest = fma(-multiple, power, x);
    if (fabs(multiple) >= 0x1p52) return NAN;
    if (rest > power / 2 || (rest == power / 2 && fmod(multiple, 2) != 0)) multiple += 1;
    else if (rest < -power / 2 || (rest == -power / 2 && fmod(multiple, 2) != 0)) multiple -= 1;
    return copysign(multiple * power, x);
}

/* What has no short way is asked of float.__round__. */
static double ask_python(double x, int64_t digits) {
    int state = python_begin();
    PyObject *rounded = NULL, *value = PyFloat_FromDouble(x);
    if (value != NULL) rounded = PyObject_CallMethod(value, "__round__", "L", (long long)digits);
    double result = rounded != NULL ? PyFloat_AS_DOUBLE(rounded) : copysign(INFINITY, x); /* OverflowError */
    PyErr_Clear();
    Py_XDECREF(rounded);
    Py_XDECREF(value);
    python_end(state);
    return result;
}

/* inf where round() raises OverflowError. */
double lean_round_digits(double x, int64_t digits) {
    if (!isfinite(x)) return x;
    if (digits >= 0 && digits <= LAST_EXACT && fabs(x) < 0x1p900 && (fabs(x) > 0x1p-900 || x == 0.0))
        return round_fraction(x, POWERS[digits]);
    if (digits < 0 && digits >= -LAST_EXACT && fabs(x) < 0x1p900) {
        double result = round_whole(x, POWERS[-digits]);
        if (!isnan(result)) return result;
    }
    return ask_python(x, digits);
}
