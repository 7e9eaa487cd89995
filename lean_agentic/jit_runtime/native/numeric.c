/* Arithmetic of compiled code that is more than one instruction, to the bit as CPython computes it.
 *
 * Functions that answer by status give 0 and store the result, or 1 where CPython raises or the result has no machine
 * form; compiled code then leaves and CPython does it again.
 */
#include "boundary.h"

#include <errno.h>
#include <math.h>

/* The remainder has the divisor's sign, a zero included; the quotient is the integer nearest to (a - remainder) / b. */
double lean_float_mod(double a, double b) {
    double rest = fmod(a, b);
    if (rest == 0.0) return copysign(0.0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

double lean_float_floordiv(double a, double b) {
    double rest = fmod(a, b), quotient = (a - rest) / b;
    if (rest != 0.0 && (rest < 0) != (b < 0)) quotient -= 1.0;
    if (quotient == 0.0) return copysign(0.0, a / b);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

/* Exact. The C library's gives zeros of the wrong sign for some tiny divisors. */
double lean_remainder(double a, double b) {
    if (!isfinite(a) || !isfinite(b)) return isfinite(a) && isinf(b) ? a : remainder(a, b);
    double x = fabs(a), y = fabs(b), rest = fmod(x, y), other = y - rest;
    /* Half way the quotient is the even one: x - rest is a whole number of y's, and half of it is as well if even. */
    if (rest > other || (rest == other && fmod(0.5 * (x - rest), y) != 0.0)) rest = -other;
    return a < 0 || (a == 0 && signbit(a)) ? -rest : rest;
}

static uint64_t magnitude(int64_t x) { return x < 0 ? -(uint64_t)x : (uint64_t)x; }

static int bit_length(uint64_t x) { return 64 - __builtin_clzll(x); }

/* Correctly rounded. A quotient of at least 55 bits whose last bit also stands for the remainder rounds once. */
double lean_int_true_divide(int64_t a, int64_t b) {
    const int64_t exact = (int64_t)1 << 53;
    if (a >= -exact && a <= exact && b >= -exact && b <= exact) return (double)a / (double)b;
    uint64_t x = magnitude(a), y = magnitude(b);
    int shift = x == 0 ? 0 : 56 - (bit_length(x) - bit_length(y));
    if (shift < 0) shift = 0;
    unsigned __int128 wide = (unsigned __int128)x << shift;
    uint64_t quotient = (uint64_t)(wide / y);
    if (wide % y) quotient |= 1;
    double result = ldexp((double)quotient, -shift);
    return (a < 0) != (b < 0) ? -result : result;
}

int64_t lean_int_power(int64_t base, int64_t exponent, int64_t *out) {
    int64_t result = 1;
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) return 1;
        if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return 1;
    }
    *out = result;
    return 0;
}

int64_t lean_compare_int_float(int64_t a, double b) {
    if (b != b) return 2;
    if (b >= 0x1p63) return -1;
    if (b < -0x1p63) return 1;
    int64_t whole = (int64_t)b;
    double fraction = b - (double)whole; /* exact: |b| >= 2**53 has none */
    if (a != whole) return a < whole ? -1 : 1;
    return fraction > 0 ? -1 : fraction < 0;
}

static int64_t store_complex(Py_complex z, double *out) {
    out[0] = z.real;
    out[1] = z.imag;
    return 0;
}

int64_t lean_complex_divide(double ar, double ai, double br, double bi, double *out) {
    errno = 0;
    Py_complex z = _Py_c_quot((Py_complex){ar, ai}, (Py_complex){br, bi});
    return errno ? 1 : store_complex(z, out);
}

/* Small whole exponents by repeated squaring, the others by logarithms, as complex.__pow__ does. */
static Py_complex whole_power(Py_complex base, long exponent) {
    Py_complex result = {1.0, 0.0}, power = base;
    for (long rest = labs(exponent); rest > 0; rest >>= 1) {
        if (rest & 1) result = _Py_c_prod(result, power);
        power = _Py_c_prod(power, power);
    }
    return exponent > 0 ? result : _Py_c_quot((Py_complex){1.0, 0.0}, result);
}

int64_t lean_complex_power(double ar, double ai, double br, double bi, double *out) {
    Py_complex z;
    errno = 0;
    if (bi == 0.0 && br == floor(br) && fabs(br) <= 100.0) z = whole_power((Py_complex){ar, ai}, (long)br);
    else z = _Py_c_pow((Py_complex){ar, ai}, (Py_complex){br, bi});
    /* ERANGE without an inf is an underflow, which is no error. */
    if (errno == EDOM || isinf(z.real) || isinf(z.imag)) return 1;
    return store_complex(z, out);
}

/* inf where abs() raises OverflowError. */
double lean_complex_abs(double re, double im) { return _Py_c_abs((Py_complex){re, im}); }

/* gcd(-2**63, -2**63 or 0) is 2**63: the answer is then negative and compiled code leaves. */
int64_t lean_int_gcd(int64_t a, int64_t b) {
    uint64_t x = magnitude(a), y = magnitude(b);
    while (y) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    return (int64_t)x;
}

/* Of a number that is not negative. */
int64_t lean_int_isqrt(int64_t n) {
    uint64_t x = (uint64_t)n, root = (uint64_t)sqrt((double)n);
    while (root * root > x) root--;
    while ((root + 1) * (root + 1) <= x) root++;
    return (int64_t)root;
}
