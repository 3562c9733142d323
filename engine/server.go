package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startServer runs a NATS server inside this process. It listens nowhere; only
// in-process connections reach it.
func startServer(ctx context.Context, dir string, log *serverLog) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "intertie",
		DontListen: true,
		JetStream:  true,
		StoreDir:   dir,
		// Without it JetStream acknowledges before it syncs, and a power cut
		// loses up to two minutes of what was acknowledged.
		SyncAlways: true,
		// By default the limit is a share of what is free when the server starts,
		// and does not follow. Space is what guards here.
		JetStreamMaxStore: 1 << 60,
		MaxPayload:        2 * MinPayload,
		// The only client is this process: a stall of its own must not get it
		// disconnected as a slow consumer.
		WriteDeadline:          time.Minute,
		NoSigs:                 true,
		NoLog:                  true, // SetLoggerV2 below
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("configure the embedded NATS server: %w", err)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if err := ready(ctx, s); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start the embedded NATS server in %s: %w", dir, err)
	}
	return s, nil
}

// ready waits until s takes connections, in steps so that ctx can end it.
func ready(ctx context.Context, s *server.Server) error {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		if s.ReadyForConnections(100 * time.Millisecond) {
			if !s.JetStreamEnabled() {
				return errors.New("JetStream could not open its files (see the log)")
			}
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !s.Running() {
			return errors.New("it stopped while starting (see the log)")
		}
	}
	return fmt.Errorf("not ready after %v", startTimeout)
}

// serverLog hands the server's lines to slog. Its notices are not news to the
// operator of this program, so they go out at debug level. Fatalf must not end
// the process: that is for main to decide.
type serverLog struct {
	log    *slog.Logger
	failed func() // called after each error; it must not block
}

var _ server.Logger = (*serverLog)(nil)

func (l *serverLog) Noticef(format string, v ...any) { l.put(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.put(slog.LevelWarn, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.put(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.put(slog.LevelDebug, format, v) }

func (l *serverLog) Errorf(format string, v ...any) {
	l.put(slog.LevelError, format, v)
	l.failed()
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *serverLog) put(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, v...)) //nolint:sloglint // the server words its messages
	}
}

// redact removes user names, passwords and tokens from a list of URLs.
func redact(list string) string {
	urls := strings.Split(list, ",")
	for i, s := range urls {
		if u, err := url.Parse(strings.TrimSpace(s)); err == nil && u.User != nil {
			u.User = nil
			urls[i] = u.String()
		} else if err != nil {
			urls[i] = "(unreadable URL)"
		}
	}
	return strings.Join(urls, ",")
}
