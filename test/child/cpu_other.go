//go:build !linux

package child

import (
	"errors"
	"time"
)

// CPU returns the CPU time the process took so far.
func (p *Process) CPU() (time.Duration, error) {
	return 0, errors.New("the CPU time of another process is read on Linux only")
}
