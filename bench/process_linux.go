package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

var terminate os.Signal = syscall.SIGTERM

// dieWithParent ends children even when this process is killed outright.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// clockTick is the unit of times in /proc: 100 a second on every Linux that Go
// runs on.
const clockTick = time.Second / 100

// cpuTime returns the processor time that a process has used so far.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	// The second field is the program's name in parentheses and may hold
	// anything; utime and stime are the 14th and 15th.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, errors.New("read the processor time: /proc/PID/stat is too short")
	}
	user, err1 := strconv.ParseInt(string(f[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(f[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// memory returns the memory a process has now and the most it has had, in
// bytes.
func memory(pid int) (now, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory use: %w", err)
	}
	field := func(name string) int64 {
		_, rest, _ := bytes.Cut(b, []byte("\n"+name+":"))
		line, _, _ := bytes.Cut(rest, []byte(" kB"))
		kb, e := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
		if e != nil {
			err = fmt.Errorf("read the memory use: %s: %w", name, e)
		}
		return kb << 10
	}
	now, peak = field("VmRSS"), field("VmHWM")
	return now, peak, err
}

// forgetPeak makes the most memory that a process has had what it has now.
func forgetPeak(pid int) error {
	const resetPeak = "5" // see proc_pid_clear_refs(5)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(resetPeak), 0); err != nil {
		return fmt.Errorf("forget the most memory in use: %w", err)
	}
	return nil
}

// inMemory reports whether a folder is on a file system without a disk, where
// a sync costs nothing.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return false
	}
	// The type's width differs between architectures; 32 bits carry the number.
	kind := uint64(st.Type) & 0xffffffff //nolint:gosec // see above
	return kind == tmpfs || kind == ramfs
}
