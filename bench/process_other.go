//go:build !linux

package bench

import (
	"errors"
	"os"
	"syscall"
	"time"
)

var terminate os.Signal = os.Interrupt

func dieWithParent() *syscall.SysProcAttr { return nil }

// cpuTime is known on Linux only.
func cpuTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

// memory is known on Linux only.
func memory(int) (now, peak int64, err error) { return 0, 0, errors.ErrUnsupported }

// forgetPeak is known on Linux only.
func forgetPeak(int) error { return errors.ErrUnsupported }

func inMemory(string) bool { return false }
