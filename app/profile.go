package app

import (
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
)

// serveProfiles serves runtime profiles on an address of their own.
func (a *App) serveProfiles() error {
	if a.opts.Profile == "" {
		return nil
	}
	listener, err := net.Listen("tcp", a.opts.Profile)
	if err != nil {
		return fmt.Errorf("--profile %s: %w", a.opts.Profile, listenReason(err))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := newServer(mux, a.logger)
	a.serveOn(server, "profiles", func() error { return server.Serve(listener) })
	return nil
}
