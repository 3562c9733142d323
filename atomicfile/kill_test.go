package atomicfile

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	writer     = "INTERTIE_TEST_WRITER"
	writerFile = "key" // in its working folder
)

func TestMain(m *testing.M) {
	if os.Getenv(writer) != "" {
		writeForEver()
	}
	os.Exit(m.Run())
}

// writeForEver replaces a file again and again and says so once it has begun.
func writeForEver() {
	for i := 0; ; i++ {
		content := bytes.Repeat([]byte{'a' + byte(i%26)}, 64<<10)
		if err := Write(writerFile, content, 0o600); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("written")
	}
}

func TestKilled(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), writerFile)
	for round := range 10 {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Dir = filepath.Dir(path)
		cmd.Env = append(os.Environ(), writer+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range round + 1 {
			if !lines.Scan() || lines.Text() != "written" {
				t.Fatalf("the writer says %q", lines.Text())
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		got, err := os.ReadFile(path)
		if err != nil || len(got) != 64<<10 || bytes.Count(got, got[:1]) != len(got) {
			t.Fatalf("round %d: %d bytes, %v", round, len(got), err)
		}
	}
	if err := Write(path, []byte("after"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone(t, path)
}
