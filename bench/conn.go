package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection with one request under way at a
// time. It understands what a publish endpoint answers, a status line, headers
// and a body with Content-Length, and takes anything else for an error. Not
// safe for concurrent use.
type conn struct {
	c   net.Conn
	buf []byte
}

func dialConn(ctx context.Context, addr string) (*conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &conn{c: c, buf: make([]byte, 8<<10)}, nil
}

// statusError is an answer other than 200.
type statusError struct {
	Status int
	Text   string // what there was of the answer, shortened
}

func (e *statusError) Error() string {
	return fmt.Sprintf("answered %d: %s", e.Status, e.Text)
}

// roundTrip sends one request and reads its answer; nil means 200.
func (c *conn) roundTrip(wire []byte) error {
	if _, err := c.c.Write(wire); err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	n, head := 0, -1
	for head < 0 {
		if n == len(c.buf) {
			return errors.New("read an answer: headers over 8 KB")
		}
		m, err := c.c.Read(c.buf[n:])
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		n += m
		head = bytes.Index(c.buf[:n], []byte("\r\n\r\n"))
	}
	status, length, err := parseHead(c.buf[:head])
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	if status != 200 {
		return &statusError{Status: status, Text: string(c.buf[:min(n, 600)])}
	}
	for left := length - (n - head - 4); left > 0; {
		m, err := c.c.Read(c.buf[:min(left, len(c.buf))])
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		left -= m
	}
	return nil
}

var (
	protocol      = []byte("HTTP/1.1 ")
	contentLength = []byte("content-length:")
)

// parseHead reads the status line and the headers, without the blank line.
func parseHead(head []byte) (status, length int, err error) {
	if len(head) < len(protocol)+3 || !bytes.HasPrefix(head, protocol) {
		return 0, 0, fmt.Errorf("no HTTP/1.1 status line in %.40q", head)
	}
	status, err = strconv.Atoi(string(head[len(protocol) : len(protocol)+3]))
	if err != nil {
		return 0, 0, fmt.Errorf("no status in %.40q", head)
	}
	length = -1
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		if len(line) < len(contentLength) || !bytes.EqualFold(line[:len(contentLength)], contentLength) {
			continue
		}
		length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):])))
		if err != nil || length < 0 {
			return 0, 0, fmt.Errorf("bad header %q", line)
		}
	}
	if length < 0 && status == 200 {
		return 0, 0, errors.New("an answer without Content-Length")
	}
	return status, max(length, 0), nil
}
