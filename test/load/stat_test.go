package main

import "testing"

// The interval holds the median, and does not shrink to it.
func TestBetween(t *testing.T) {
	var v []float64
	for i := range 25 {
		v = append(v, float64((i*7)%25)) // 0 to 24, out of order
	}
	low, high := between(v)
	if m := median(v); m != 12 || low != 7 || high != 17 {
		t.Errorf("median %v, from %v to %v", m, low, high)
	}
}

// A disturbance in one piece of the time is not what the gateway adds.
func TestAddedQuantile(t *testing.T) {
	var low, high []float64
	for i := range 1000 {
		low, high = append(low, 1), append(high, 1.5)
		if i/100 == 3 {
			high[i] = 80
		}
	}
	if got := addedQuantile(low, high, 0.99); got != 0.5 {
		t.Errorf("%v", got)
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		middle, low, high float64
		want              string
	}{
		{1.01, 1.00, 1.02, "≤ 1.02 | met"},
		{1.01, 0.99, 1.04, "≤ 1.02 | met, within noise"},
		{1.03, 1.01, 1.05, "≤ 1.02 | not met, within noise"},
		{1.05, 1.03, 1.07, "≤ 1.02 | **not met**"},
	} {
		if got := judge(1.02, c.middle, c.low, c.high); got != c.want {
			t.Errorf("%v: %s", c, got)
		}
	}
}
