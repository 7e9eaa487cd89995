/* The table of functions that compiled code calls, in the order of `runtime_functions.RUNTIME_FUNCTIONS`.
 *
 * math_*: what the math module computes where it does not raise. Most of its functions are those of the C library; where
 * it has an algorithm of its own (gamma, lgamma, hypot) the module itself is asked, since the algorithm differs between
 * Python's versions. Where math raises, the result is inf (range) or NaN (domain).
 */
#include "boundary.h"

#include <math.h>

static PyObject *math_gamma, *math_lgamma, *math_hypot;

static double ask_math(PyObject *function, int count, double a, double b) {
    int state = python_begin();
    PyObject *arguments[] = {PyFloat_FromDouble(a), PyFloat_FromDouble(b)}, *result = NULL;
    if (arguments[0] != NULL && arguments[1] != NULL) result = PyObject_Vectorcall(function, arguments, count, NULL);
    double value = result != NULL ? PyFloat_AS_DOUBLE(result) : PyErr_ExceptionMatches(PyExc_OverflowError) ? INFINITY : NAN;
    PyErr_Clear();
    Py_XDECREF(arguments[0]);
    Py_XDECREF(arguments[1]);
    Py_XDECREF(result);
    python_end(state);
    return value;
}

static double lean_gamma(double x) { return ask_math(math_gamma, 1, x, 0.0); }
static double lean_lgamma(double x) { return ask_math(math_lgamma, 1, x, 0.0); }

/* The root of the sum of squares with twice the digits of a double, and how far rounding it to a double went. */
static double root_of_squares(double a, double b, double *rest) {
    double s = a * a, t = b * b, sum = s + t, root = sqrt(sum);
    double low = (s - sum) + t + (fma(a, a, -s) + fma(b, b, -t));
    double correction = (fma(-root, root, sum) + low) / (2 * root), result = root + correction;
    *rest = (root - result) + correction;
    return result;
}

/* math.hypot is right but for some hundredths of the last bit: what is not nearly half way between doubles is clear. */
static double lean_hypot(double x, double y) {
    double a = fmax(fabs(x), fabs(y)), b = fmin(fabs(x), fabs(y)), rest;
    if (!(isfinite(x) && isfinite(y) && a < 0x1p450 && b > 0x1p-450)) return ask_math(math_hypot, 2, x, y);
    double result = root_of_squares(a, b, &rest), unit;
    uint64_t bits;
    memcpy(&bits, &result, 8);
    uint64_t power = bits & 0x7ff0000000000000;
    memcpy(&unit, &power, 8);
    if (bits == power || fabs(rest) > unit * 0x1p-53 * 0.9) return ask_math(math_hypot, 2, x, y);
    return result;
}

/* log1p(-0.0) is -0.0 also where the C library says 0.0. */
static double lean_log1p(double x) { return x == 0.0 ? x : log1p(x); }

/* For a signalling NaN the C library gives NaN where 1 ** NaN and NaN ** 0 are 1. */
static double lean_pow(double x, double y) { return x == 1.0 || y == 0.0 ? 1.0 : pow(x, y); }

#if defined(__x86_64__) && defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 28)
#define FAST_SQUARES
/* Is `result` what pow gives, if the exact power is `rest` away from it? glibc's pow errs by less than .54 units in the
 * last place (sysdeps/ieee754/dbl-64/e_pow.c says so), so it finds the nearest double unless the exact power lies within
 * .04 of half way to the next one. That leaves a tenth of all arguments to pow itself. */
static int surely_nearest(double result, double rest) {
    uint64_t bits, power;
    double unit;
    memcpy(&bits, &result, 8);
    power = bits & 0x7ff0000000000000;
    memcpy(&unit, &power, 8);
    return bits != power && fabs(rest) < unit * 0x1p-52 * 0.45;
}

/* Squares, cubes and roots, which are most powers, take a third of the time of pow. */
__attribute__((target("fma"))) static double lean_pow_with_fma(double x, double y) {
    double size = fabs(x), result;
    if (size > 0x1p-450 && size < 0x1p450) {
        if (y == 2.0) {
            result = x * x;
            if (surely_nearest(result, fma(x, x, -result))) return result;
        } else if (y == 3.0 && size > 0x1p-300 && size < 0x1p300) {
            double square = x * x;
            result = square * x;
            if (surely_nearest(result, fma(square, x, -result) + fma(x, x, -square) * x)) return result;
        } else if (y == 1.5 && x > 0x1p-300 && x < 0x1p300) {
            double root = sqrt(x);
            result = root * x;
            if (surely_nearest(result, fma(root, x, -result) + fma(-root, root, x) / (2 * root) * x)) return result;
        } else if (y == 0.5 && x > 0) {
            result = sqrt(x);
            if (surely_nearest(result, fma(-result, result, x) / (2 * result))) return result;
        }
    }
    return lean_pow(x, y);
}
#endif

#define RUNTIME(F)                                                                                                     \
    F(exit, lean_exit) F(recursion_error, lean_recursion_error) F(list_new, lean_list_new)                             \
    F(list_reserve, lean_list_reserve) F(list_slice, lean_list_slice) F(list_repeat, lean_list_repeat)                 \
    F(list_concat, lean_list_concat) F(float_floordiv, lean_float_floordiv) F(float_mod, lean_float_mod)               \
    F(int_true_divide, lean_int_true_divide) F(int_power, lean_int_power)                                              \
    F(compare_int_float, lean_compare_int_float)                                                                       \
    F(math_acos, acos) F(math_acosh, acosh) F(math_asin, asin) F(math_asinh, asinh) F(math_atan, atan)                 \
    F(math_atanh, atanh) F(math_cbrt, cbrt) F(math_cos, cos) F(math_cosh, cosh) F(math_erf, erf) F(math_erfc, erfc)    \
    F(math_exp, exp) F(math_exp2, exp2) F(math_expm1, expm1) F(math_gamma, lean_gamma) F(math_lgamma, lean_lgamma)     \
    F(math_log, log) F(math_log10, log10) F(math_log1p, lean_log1p) F(math_log2, log2) F(math_sin, sin)                \
    F(math_sinh, sinh) F(math_tan, tan) F(math_tanh, tanh)                                                             \
    F(math_atan2, atan2) F(math_fmod, fmod) F(math_hypot, lean_hypot) F(math_pow, lean_pow) F(math_nextafter, nextafter)    \
    F(math_remainder, lean_remainder)                                                                                       \
    F(complex_divide, lean_complex_divide) F(complex_power, lean_complex_power) F(complex_abs, lean_complex_abs)       \
    F(round_digits, lean_round_digits) F(int_gcd, lean_int_gcd) F(int_isqrt, lean_int_isqrt) \
    F(array_new, lean_array_new) F(list_expect, lean_list_expect) \
    F(array_copy, lean_array_copy)

#define ADDRESS(name, function) (void *)function,
#define NAME(name, function) #name,
void *runtime_table[] = {RUNTIME(ADDRESS)};
const char *const runtime_names[] = {RUNTIME(NAME)};
const int runtime_count = sizeof runtime_table / sizeof *runtime_table;

/* Whether this machine's pow is known well enough to find squares without it. */
int fast_squares(void) {
#ifdef FAST_SQUARES
    return __builtin_cpu_supports("fma") != 0;
#else
    return 0;
#endif
}

static void choose_pow(void) {
#ifdef FAST_SQUARES
    for (int k = 0; fast_squares() && k < runtime_count; k++)
        if (runtime_table[k] == (void *)lean_pow) runtime_table[k] = (void *)lean_pow_with_fma;
#endif
}

int numeric_prepare(void) {
    choose_pow();
    PyObject *math = PyImport_ImportModule("math");
    if (math == NULL) return -1;
    math_gamma = PyObject_GetAttrString(math, "gamma");
    math_lgamma = PyObject_GetAttrString(math, "lgamma");
    math_hypot = PyObject_GetAttrString(math, "hypot");
    Py_DECREF(math);
    return math_gamma != NULL && math_lgamma != NULL && math_hypot != NULL ? 0 : -1;
}
