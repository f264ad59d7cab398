package child

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time the process took so far. The clock counts nanoseconds;
// /proc/<pid>/stat would count hundredths of a second.
func (p *Process) CPU() (time.Duration, error) {
	clock := int32(^p.Pid()<<3 | 2) // as clock_getcpuclockid(3) makes it
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("the gateway's CPU clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
