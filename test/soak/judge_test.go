package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A line with noise is told from noise.
func TestFit(t *testing.T) {
	for _, c := range []struct {
		name         string
		slope, noise float64
		flat         bool
	}{
		{"level", 0, 1, true},
		{"level, without noise", 0, 0, true},
		{"falls", -0.5, 1, true},
		{"grows by a hair", 0.05, 0.01, true},
		{"grows", 0.5, 1, false},
		{"grows, without noise", 0.5, 0, false},
	} {
		r := rand.New(rand.NewPCG(1, 2))
		var v verdict
		for i := range 40 {
			x := float64(i) / 2
			v.points = append(v.points, point{x, 100 + c.slope*x + c.noise*r.NormFloat64()})
		}
		v.fit(5)
		if v.flat != c.flat {
			t.Errorf("%s: flat %v; slope %v ± %v, drift %v", c.name, v.flat, v.slope, v.margin, v.drift)
		}
		if math.Abs(v.slope-c.slope) > v.margin+1e-9 {
			t.Errorf("%s: slope %v ± %v", c.name, v.slope, v.margin)
		}
	}
	var none verdict
	if none.fit(0); none.flat {
		t.Error("nothing is not flat")
	}
}

// The formula is near the table of the distribution.
func TestStudent(t *testing.T) {
	for df, want := range map[float64]float64{2: 4.303, 5: 2.571, 10: 2.228, 30: 2.042, 100: 1.984} {
		if got := student(df); math.Abs(got-want) > 0.04*want {
			t.Errorf("%v degrees of freedom: %v, want %v", df, got, want)
		}
	}
}
