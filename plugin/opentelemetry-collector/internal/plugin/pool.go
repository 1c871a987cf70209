package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// ErrUnavailable is wrapped when there is no instance to be had: the plugin was closed, who asked no longer waits, or one
// could not be made.
var ErrUnavailable = errors.New("there is no instance of the plugin")

// retryAfter is how long a machine that could not make an instance is left alone.
const retryAfter = time.Second

// pool lends out workers, last in first out: the one whose memory the processor still holds comes first, and those that a
// lull leaves over are not touched. It has at most as many as slots, each made when it is first needed.
type pool struct {
	settings Settings
	engine   *guest.Engine
	board    *board
	// slots has a token for each worker that may be lent out.
	slots chan struct{}

	mutex sync.Mutex
	// idle are those that are there, the last to come back last.
	idle []*worker
	// busy are those that are lent out.
	busy map[*worker]struct{}
	// made is how many there were.
	made uint64
	// again is when to try again after a failure to make one.
	again  time.Time
	past   sums
	closed bool
}

func newPool(settings Settings, engine *guest.Engine, board *board) *pool {
	return &pool{
		settings: settings,
		engine:   engine,
		board:    board,
		slots:    make(chan struct{}, settings.Instances),
		busy:     make(map[*worker]struct{}),
		past:     make(sums),
	}
}

// with lends out a worker that knows what is on the board, and takes it back; one that trapped is dropped.
func (p *pool) with(ctx context.Context, use func(*worker) error) error {
	return p.withState(ctx, p.board.read, use)
}

// withState does so for another state than that on the board.
func (p *pool) withState(ctx context.Context, state func() *committed, use func(*worker) error) error {
	select {
	case p.slots <- struct{}{}:
	default:
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
	}
	defer func() { <-p.slots }()
	committed := state()
	worker, err := p.take(ctx, committed)
	if err != nil {
		return err
	}
	if err := worker.catchUp(committed, p.settings.Clock()); err != nil {
		// The next one would fail like this one: others should not all try.
		p.postpone()
		p.discard(ctx, worker, err)
		// Not wrapped: what it said, it did not say to this caller.
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	err = use(worker)
	if errors.Is(err, guest.ErrTrapped) {
		p.discard(ctx, worker, err)
	} else {
		p.giveBack(worker)
	}
	return err
}

// take gives a worker that is there, or makes one. Those that know a state that was replaced are dropped on the way.
func (p *pool) take(ctx context.Context, committed *committed) (*worker, error) {
	p.mutex.Lock()
	if p.closed {
		p.mutex.Unlock()
		return nil, fmt.Errorf("%w: it was closed", ErrUnavailable)
	}
	outdated := p.removeOutdated(p.board.read().generation)
	for index := len(p.idle) - 1; index >= 0; index-- {
		if taken := p.idle[index]; taken.generation == committed.generation {
			p.idle = slices.Delete(p.idle, index, index+1)
			p.busy[taken] = struct{}{}
			p.mutex.Unlock()
			p.retire(ctx, outdated)
			return taken, nil
		}
	}
	mayTry := !time.Now().Before(p.again)
	if mayTry {
		p.made++
	}
	name := fmt.Sprintf("%s/%d", p.settings.Name, p.made)
	p.mutex.Unlock()
	p.retire(ctx, outdated)
	if !mayTry {
		return nil, fmt.Errorf("%w: one could not be made a moment ago", ErrUnavailable)
	}
	made, err := newWorker(ctx, p.engine, p.settings, name, committed.generation)
	if err != nil {
		p.postpone()
		p.settings.Logger.Error("There is no instance of the plugin: telemetry goes on unmarked", zap.Error(err))
		return nil, fmt.Errorf("%w: %v", ErrUnavailable, err)
	}
	p.mutex.Lock()
	p.busy[made] = struct{}{}
	p.mutex.Unlock()
	return made, nil
}

// removeOutdated takes out those that know a state before that generation.
func (p *pool) removeOutdated(generation uint64) []*worker {
	isOutdated := func(idle *worker) bool { return idle.generation < generation }
	if !slices.ContainsFunc(p.idle, isOutdated) {
		return nil
	}
	var outdated []*worker
	p.idle = slices.DeleteFunc(p.idle, func(idle *worker) bool {
		if isOutdated(idle) {
			outdated = append(outdated, idle)
			return true
		}
		return false
	})
	return outdated
}

// retire drops workers that are as good as ever, and of no more use.
func (p *pool) retire(ctx context.Context, outdated []*worker) {
	for _, worker := range outdated {
		if counters, err := worker.instance.Counters(); err == nil {
			worker.counters = counters
		}
		p.drop(ctx, worker)
	}
}

func (p *pool) giveBack(lent *worker) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.busy, lent)
	p.idle = append(p.idle, lent)
}

// discard drops a worker that failed, and tells.
func (p *pool) discard(ctx context.Context, lent *worker, cause error) {
	p.mutex.Lock()
	delete(p.busy, lent)
	p.mutex.Unlock()
	p.drop(ctx, lent)
	reason := "trap"
	if errors.Is(cause, guest.ErrDeadline) {
		reason = "deadline"
	}
	p.settings.Telemetry.Restarted(reason)
	p.settings.Logger.Warn("An instance of the plugin was dropped; a new one takes its place", zap.Error(cause))
}

// drop closes a worker that nobody holds. What it had counted when it was last asked is kept.
func (p *pool) drop(ctx context.Context, gone *worker) {
	p.mutex.Lock()
	p.past.add(gone.counters)
	p.mutex.Unlock()
	if err := gone.instance.Close(ctx); err != nil {
		p.settings.Logger.Warn("An instance of the plugin could not be closed", zap.Error(err))
	}
}

func (p *pool) postpone() {
	p.mutex.Lock()
	p.again = time.Now().Add(retryAfter)
	p.mutex.Unlock()
}

// visit shows each worker that is not busy. Those that are lent out are not waited for.
func (p *pool) visit(ctx context.Context, show func(*worker) error) error {
	seen := make(map[*worker]struct{})
	var failed error
	for {
		select {
		case p.slots <- struct{}{}:
		default:
			// All are at work.
			return failed
		}
		lent := p.unseen(seen)
		if lent == nil {
			<-p.slots
			return failed
		}
		if err := show(lent); err != nil {
			p.discard(ctx, lent, err)
			failed = err
		} else {
			p.giveBack(lent)
		}
		<-p.slots
	}
}

func (p *pool) unseen(seen map[*worker]struct{}) *worker {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for index, idle := range p.idle {
		if _, was := seen[idle]; !was {
			seen[idle] = struct{}{}
			p.idle = slices.Delete(p.idle, index, index+1)
			p.busy[idle] = struct{}{}
			return idle
		}
	}
	return nil
}

// counted is the sums as far as they are known.
func (p *pool) counted() []guest.Counter {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	all := make(sums)
	for _, counter := range p.past {
		all.add([]guest.Counter{counter})
	}
	for _, idle := range p.idle {
		all.add(idle.counters)
	}
	for busy := range p.busy {
		all.add(busy.counters)
	}
	return all.all()
}

// close waits for those that are lent out, and closes all.
func (p *pool) close(ctx context.Context) error {
	p.mutex.Lock()
	p.closed = true
	p.mutex.Unlock()
	// Each call has a deadline, so this ends.
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	defer func() {
		for range cap(p.slots) {
			<-p.slots
		}
	}()
	p.mutex.Lock()
	gone := p.idle
	p.idle = nil
	p.mutex.Unlock()
	for _, worker := range gone {
		p.drop(ctx, worker)
	}
	return p.engine.Close(ctx)
}
