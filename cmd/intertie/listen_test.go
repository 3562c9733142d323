package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestListenSaysWhereAndEndsWithoutError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	c := &listenCmd{Listen: "127.0.0.1:0"}
	go func() {
		ended <- c.Run(ctx, streams{in, io.Discard})
		in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "receiving at http://127.0.0.1:") {
		t.Fatalf("first line %q, %v", line, err)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on after the signal")
	}
}

func TestListenOnTakenAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := &listenCmd{Listen: l.Addr().String()}
	if err := c.Run(t.Context(), streams{io.Discard, io.Discard}); err == nil {
		t.Error("no error")
	}
}
