//go:build race

package policy

// raceDetector is on: it makes pools forget what they hold, so regexp allocates.
const raceDetector = true
