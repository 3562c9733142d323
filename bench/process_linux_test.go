package bench

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	after := before
	for end := time.Now().Add(10 * time.Second); after-before < 3*clockTick && time.Now().Before(end); {
		if after, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if after-before < 3*clockTick {
		t.Error("a busy process uses no processor time")
	}
	now, peak, err := memory(os.Getpid())
	if err != nil || now < 1<<20 || peak < now {
		t.Errorf("memory now %d, peak %d, %v", now, peak, err)
	}
	if _, err := cpuTime(1 << 30); err == nil {
		t.Error("a process that is not there has processor time")
	}
	if _, _, err := memory(1 << 30); err == nil {
		t.Error("a process that is not there has memory")
	}
}

func TestForgetPeak(t *testing.T) {
	const used = 64 << 20
	block := make([]byte, used)
	for i := 0; i < used; i += 4096 {
		block[i] = 1
	}
	runtime.KeepAlive(block)
	_, before, err := memory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	if err := forgetPeak(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	if _, after, err := memory(os.Getpid()); err != nil || after > before-used/2 {
		t.Errorf("the peak was %d and is %d, %v", before, after, err)
	}
	if forgetPeak(1<<30) == nil {
		t.Error("a process that is not there forgets")
	}
}

func TestInMemory(t *testing.T) {
	if inMemory("/proc") {
		t.Error("/proc is taken for a memory file system") // procfs, neither tmpfs nor ramfs
	}
}
