package webhook

import "sync"

// maxIdleRunners bounds the goroutines that wait for the next flight.
const maxIdleRunners = 64

// runners are goroutines that make flights, one after the other. The stack of
// one that has sent a request before has its size already; a new one would have
// to grow it for each request, which costs as much as a tenth of a request to a
// quick endpoint.
type runners struct {
	next chan func() // taken by whoever is idle
	stop chan struct{}
	// wg counts the idle ones.
	wg sync.WaitGroup

	// mu protects the fields below.
	mu     sync.Mutex
	idle   int
	closed bool
}

func newRunners() *runners {
	return &runners{next: make(chan func()), stop: make(chan struct{})}
}

// start runs fly in a goroutine that is idle, or in a new one.
func (r *runners) start(fly func()) {
	select {
	case r.next <- fly:
	default:
		go func() {
			for fly != nil {
				fly()
				fly = r.wait()
			}
		}()
	}
}

// wait returns the next flight, nil to make an end.
func (r *runners) wait() func() {
	r.mu.Lock()
	if r.closed || r.idle >= maxIdleRunners {
		r.mu.Unlock()
		return nil
	}
	r.idle++
	r.wg.Add(1)
	r.mu.Unlock()
	defer r.wg.Done()
	var fly func()
	select {
	case fly = <-r.next:
	case <-r.stop:
	}
	r.mu.Lock()
	r.idle--
	r.mu.Unlock()
	return fly
}

// close ends the idle ones. The others end when their flight does; whoever
// waits for that flight waits for them.
func (r *runners) close() {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if !closed {
		close(r.stop)
	}
	r.wg.Wait()
}
