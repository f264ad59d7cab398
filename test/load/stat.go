package main

import (
	"fmt"
	"math"
	"slices"
)

// median returns the middle of the values.
func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile returns the value that a share q of all is below.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

// between returns the ends of the interval that holds the median with 95 %
// certainty: as many values are below it as coins of so many show heads.
func between(v []float64) (low, high float64) {
	if len(v) == 0 {
		return math.NaN(), math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	n := float64(len(s))
	k := max(0, int(n/2-1.96*math.Sqrt(n)/2))
	return s[k], s[len(s)-1-k]
}

// judge says whether a target is met: surely, or by the median only.
func judge(target, middle, low, high float64) string {
	switch {
	case target == 0:
		return "– | "
	case high <= target:
		return fmt.Sprintf("≤ %.2f | met", target)
	case middle <= target:
		return fmt.Sprintf("≤ %.2f | met, within noise", target)
	case low <= target:
		return fmt.Sprintf("≤ %.2f | not met, within noise", target)
	}
	return fmt.Sprintf("≤ %.2f | **not met**", target)
}
