//! Which neurons, and how much of each: orthogonal matching pursuit in the metric F. Twin: `chosen` of training/claims/linear.py.
//!
//! The best change d on the neurons S alone, for what it costs (dᵀFd/2 nats), is F_SS⁻¹ g_S, and it wins gᵀd = g_Sᵀ F_SS⁻¹ g_S. A neuron i adds
//! r_i² / c_i to that: r = g − F_{·S} d_S is what S leaves of the gradient, c_i = F_ii − F_iS F_SS⁻¹ F_Si what i costs beside S. With the
//! Cholesky factor F_SS = L Lᵀ, kept row by row, and the rows w_i = L⁻¹ F_Si, y = L⁻¹ g_S both follow by subtraction.

/// Neurons in the order in which they were taken. The first n of them are the list of n.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    pub indices: Vec<usize>,
    /// L, row by row.
    factor: Vec<Vec<f64>>,
    /// L⁻¹ g_S
    y: Vec<f64>,
}

/// Takes up to `size` neurons, fewer where no other moves anything. `diagonal`: of F; `column`: of F, whole.
pub fn greedy(diagonal: &[f64], column: &dyn Fn(usize) -> Vec<f64>, gain: &[f64], size: usize) -> Choice {
    let mut choice = Choice::default();
    let (mut rest, mut cost) = (gain.to_vec(), diagonal.to_vec());
    let least = 1e-9 * diagonal.iter().sum::<f64>() / diagonal.len().max(1) as f64;
    // w_i of every neuron, one list for each of S.
    let mut rows: Vec<Vec<f64>> = Vec::new();
    while choice.indices.len() < size {
        let score = |i: usize| rest[i] * rest[i] / cost[i].max(least);
        let free = (0..gain.len()).filter(|i| !choice.indices.contains(i));
        let best = free.reduce(|best, i| if score(i) > score(best) { i } else { best });
        let Some(taken) = best.filter(|i| score(*i) > 0.0) else {
            break;
        };
        let side = cost[taken].max(least).sqrt();
        let amount = rest[taken] / side;
        let mut row = column(taken);
        for (i, value) in row.iter_mut().enumerate() {
            for of in &rows {
                *value -= of[i] * of[taken];
            }
            *value /= side;
            rest[i] -= *value * amount;
            cost[i] -= *value * *value;
        }
        let mut line: Vec<f64> = rows.iter().map(|of| of[taken]).collect();
        line.push(side);
        choice.factor.push(line);
        choice.y.push(amount);
        choice.indices.push(taken);
        rows.push(row);
    }
    choice
}

impl Choice {
    /// How much of each of the first `size`: the best change on them, scaled so that it is predicted to cost 1 nat.
    pub fn amounts(&self, size: usize) -> Vec<f64> {
        let size = size.min(self.indices.len());
        let mut amounts = self.y[..size].to_vec();
        // Lᵀ d = y, from the last up.
        for i in (0..size).rev() {
            for j in i + 1..size {
                amounts[i] -= self.factor[j][i] * amounts[j];
            }
            amounts[i] /= self.factor[i][i];
        }
        // dᵀFd = yᵀy.
        let nats = self.y[..size].iter().map(|y| y * y).sum::<f64>() / 2.0;
        amounts.iter_mut().for_each(|amount| *amount /= nats.sqrt());
        amounts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A positive definite matrix and a gradient.
    fn problem(n: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 23) - 1.0
        };
        let a: Vec<Vec<f64>> = (0..n + 3).map(|_| (0..n).map(|_| next()).collect()).collect();
        let of =
            |i: usize, j: usize| a.iter().map(|row| row[i] * row[j]).sum::<f64>() + if i == j { 0.01 } else { 0.0 };
        let f = (0..n).map(|i| (0..n).map(|j| of(i, j)).collect()).collect();
        (f, (0..n).map(|_| next()).collect())
    }

    /// F_SS⁻¹ g_S by elimination.
    fn solved(f: &[Vec<f64>], g: &[f64], of: &[usize]) -> Vec<f64> {
        let n = of.len();
        let mut a: Vec<Vec<f64>> = of
            .iter()
            .map(|i| of.iter().map(|j| f[*i][*j]).chain([g[*i]]).collect())
            .collect();
        for p in 0..n {
            let pivot = a[p].clone();
            for row in a.iter_mut().enumerate().filter(|(r, _)| *r != p).map(|(_, row)| row) {
                let times = row[p] / pivot[p];
                row.iter_mut().zip(&pivot).for_each(|(x, y)| *x -= times * y);
            }
        }
        (0..n).map(|p| a[p][n] / a[p][p]).collect()
    }

    fn won(f: &[Vec<f64>], g: &[f64], of: &[usize]) -> f64 {
        of.iter().zip(solved(f, g, of)).map(|(i, d)| g[*i] * d).sum()
    }

    #[test]
    fn each_step_takes_what_adds_most() {
        let (f, g) = problem(17);
        let diagonal: Vec<f64> = (0..17).map(|i| f[i][i]).collect();
        let choice = greedy(&diagonal, &|i| f[i].clone(), &g, 9);
        for size in 1..=9 {
            let taken = &choice.indices[..size];
            let with = |i: usize| [&taken[..size - 1], &[i]].concat();
            let free = (0..17).filter(|i| !taken[..size - 1].contains(i));
            let best = free.map(|i| won(&f, &g, &with(i))).fold(f64::MIN, f64::max);
            assert!((won(&f, &g, taken) - best).abs() < 1e-9 * best, "{size}");
            // The amounts are the solution, of 1 nat.
            let (amounts, solution) = (choice.amounts(size), solved(&f, &g, taken));
            let nats: f64 = (0..size)
                .flat_map(|i| (0..size).map(move |j| (i, j)))
                .map(|(i, j)| amounts[i] * f[taken[i]][taken[j]] * amounts[j] / 2.0)
                .sum();
            assert!((nats - 1.0).abs() < 1e-9);
            for (a, s) in amounts.iter().zip(&solution) {
                assert!((a / s - amounts[0] / solution[0]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn nothing_is_taken_that_moves_nothing() {
        let (f, mut g) = problem(5);
        let diagonal: Vec<f64> = (0..5).map(|i| f[i][i]).collect();
        assert_eq!(greedy(&diagonal, &|i| f[i].clone(), &g, 9).indices.len(), 5);
        g.fill(0.0);
        assert!(greedy(&diagonal, &|i| f[i].clone(), &g, 3).indices.is_empty());
    }
}
