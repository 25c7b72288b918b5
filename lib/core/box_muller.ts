/** π/2 as two numbers: the upper 33 bits, whose small multiples are exact, and the rest. */
const quarterTurn = 1.5707963267341256, quarterTurnRest = 6.077100506506192e-11;

/**
 * Independent N(0, 1) draws from uniform integers in [0, 2^32), two from a
 * pair (Box and Muller 1958), in float64, rounded to float32.
 *
 * Sine and cosine are computed here, within a unit in the last place, by the
 * polynomials of Sun's libm on [−π/4, π/4]: with JavaScript's own, draws take twice as long.
 *
 * @param bits an even number of them
 */
export function boxMuller(bits: Uint32Array, count: number): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log((bits[i]! + 0.5) / 2 ** 32)), turned = bits[i + 1]!;
    // The angle is y and so many quarters of a turn, to the nearest.
    const quarters = Math.floor(turned / 2 ** 30 + 0.5);
    const angle = 2 * Math.PI * (turned / 2 ** 32);
    const y = angle - quarters * quarterTurn - quarters * quarterTurnRest, z = y * y;
    let sin = y + y * z * sineOf(z), cos = 1 - (0.5 * z - z * z * cosineOf(z));
    if (quarters & 1) [cos, sin] = [-sin, cos];
    if (quarters & 2) [cos, sin] = [-cos, -sin];
    out[i] = radius * cos;
    out[i + 1] = radius * sin;
  }
  return out.length === count ? out : out.slice(0, count);
}

/** (sin y − y) / y³ for z = y². */
function sineOf(z: number): number {
  const high = 2.7557313707070068e-6 + z * (-2.5050760253406863e-8 + z * 1.5896909952115501e-10);
  return -1.6666666666666632e-1 + z * (8.33333333332249e-3 + z * (-1.984126982985795e-4 + z * high));
}

/** (cos y − 1 + y²/2) / y⁴ for z = y². */
function cosineOf(z: number): number {
  const high = -2.7557314351390663e-7 + z * (2.087572321298175e-9 + z * -1.1359647557788195e-11);
  return 4.1666666666666602e-2 + z * (-1.388888888887411e-3 + z * (2.480158728947673e-5 + z * high));
}
