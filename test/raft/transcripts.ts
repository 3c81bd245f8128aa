/** Commands begin with '>'; below each stand its effects. See script.ts for the commands. */
export const transcripts: Readonly<Record<string, string>> = {
  'an election: pre-votes, a vote written before it is spoken of, the first entry of the term': `
    > wait 1
    > take 1
    1 is preCandidate t0 leader -
    1>2 preVote t1 log 0/0
    1>3 preVote t1 log 0/0
    > sync 1
    > deliver
    > take 2
    2>1 preVoteReply t1 yes
    > take 3
    3>1 preVoteReply t1 yes
    > deliver
    > take 1
    1 is candidate t1 leader -
    1 writes t1 vote 1 commit 0
    > sync 1
    1>2 vote t1 log 0/0
    1>3 vote t1 log 0/0
    > deliver
    > take 2
    2 is follower t1 leader -
    2 writes t1 vote 1 commit 0
    > sync 2
    > sync 2
    2>1 voteReply t1 yes
    > deliver
    > take 1
    1 is leader t1 leader 1
    1 writes 1/1
    1>2 append t1 after 0/0 [1] commit 0
    1>3 append t1 after 0/0 [1] commit 0
  `,
  'a conflict: what an old leader left is replaced, a term per refusal': `
    > disk 1 1 1 4 4
    > disk 2 1 1 4 4
    > disk 3 1 1 2 2 3 3
    > wait 1
    > run
    1 is preCandidate t4 leader -
    1 is candidate t5 leader -
    1 writes t5 vote 1 commit 0
    2 is follower t5 leader -
    2 writes t5 vote 1 commit 0
    3 is follower t5 leader -
    3 writes t5 vote 1 commit 0
    1 is leader t5 leader 1
    1 writes 5/5
    2 is follower t5 leader 1
    2 writes 5/5
    3 is follower t5 leader 1
    1 writes t5 vote 1 commit 5
    3 writes t5 vote 1 commit 4
    3 writes 3/4 4/4
    3 writes t5 vote 1 commit 5
    3 writes 5/5
    > take 1
  `,
  'probe to replicate: one append, then a stream of them': `
    > elect 1
    > propose 1
    > take 1
    1 writes 2/1
    1>2 append t1 after 1/1 [1] commit 1
    1>3 append t1 after 1/1 [1] commit 1
    > propose 1
    > propose 1
    > take 1
    1 writes 3/1 4/1
    1>2 append t1 after 2/1 [1 1] commit 1
    1>3 append t1 after 2/1 [1 1] commit 1
    > deliver
    > take 2
    2 writes t1 vote 1 commit 1
    2 writes 2/1 3/1 4/1
    > sync 2
    2>1 appendAccepted t1 match 4
    > take 3
    3 writes t1 vote 1 commit 1
    3 writes 2/1 3/1 4/1
    > sync 3
    3>1 appendAccepted t1 match 4
    > sync 1
    > sync 1
    > deliver
    > take 1
    1 writes t1 vote 1 commit 4
  `,
  'a lost append: asked for as heartbeats are answered, refused, sent again': `
    > elect 1
    > propose 1
    > take 1
    1 writes 2/1
    1>2 append t1 after 1/1 [1] commit 1
    1>3 append t1 after 1/1 [1] commit 1
    > cut 2
    > sync 1
    > run
    3 writes t1 vote 1 commit 1
    3 writes 2/1
    1 writes t1 vote 1 commit 2
    > tick 1 2
    > run
    2 writes t1 vote 1 commit 1
    3 writes t1 vote 1 commit 2
    > tick 1 2
    > take 1
    1>2 heartbeat t1 round 2 commit 1
    1>3 heartbeat t1 round 2 commit 2
    > cut 3
    > deliver
    > take 2
    2>1 heartbeatReply t1 round 2 last 1
    > deliver
    > take 1
    1>2 append t1 after 2/1 [] commit 2
    > deliver
    > take 2
    2>1 appendRejected t1 at 2 hint 1/1
    > deliver
    > take 1
    1>2 append t1 after 1/1 [1] commit 2
    > run
    2 writes t1 vote 1 commit 2
    2 writes 2/1
  `,
  'pre-vote: who hears the leader does not even answer': `
    > elect 1
    > wait 3
    > take 3
    3 is preCandidate t1 leader -
    3>1 preVote t2 log 1/1
    3>2 preVote t2 log 1/1
    > deliver
    > take 1
    > take 2
    > tick 1 2
    > run
    2 writes t1 vote 1 commit 1
    3 is follower t1 leader 1
    3 writes t1 vote 1 commit 1
  `,
  'check-quorum: a leader that nobody answers steps down, its reads fail': `
    > elect 1
    > read 1 5
    > take 1
    1>2 heartbeat t1 round 1 commit 1
    1>3 heartbeat t1 round 1 commit 1
    > cut 1
    > tick 1 2
    > take 1
    1>2 heartbeat t1 round 2 commit 1
    1>3 heartbeat t1 round 2 commit 1
    > cut 1
    > tick 1 6
    > take 1
    1 is follower t1 leader -
    1 read 5 failed
  `,
  'ReadIndex: a read waits for a round that begins after it came': `
    > elect 1
    > propose 1
    > run
    1 writes 2/1
    2 writes t1 vote 1 commit 1
    2 writes 2/1
    3 writes t1 vote 1 commit 1
    3 writes 2/1
    1 writes t1 vote 1 commit 2
    > read 1 1
    > read 1 2
    > take 1
    1>2 heartbeat t1 round 1 commit 2
    1>3 heartbeat t1 round 1 commit 2
    > read 1 3
    > deliver
    > take 2
    2 writes t1 vote 1 commit 2
    2>1 heartbeatReply t1 round 1 last 2
    > cut 3
    > deliver
    > take 1
    1 read 1 at 2
    1 read 2 at 2
    1>2 heartbeat t1 round 2 commit 2
    1>3 heartbeat t1 round 2 commit 2
    > deliver
    > take 3
    3 writes t1 vote 1 commit 2
    3>1 heartbeatReply t1 round 1 last 2
    3>1 heartbeatReply t1 round 2 last 2
    > deliver
    > take 1
    1 read 3 at 2
  `,
  'a snapshot: asked for when the log no longer reaches back, acknowledged once its switch is written': `
    > elect 1
    > cut 3
    > down 3
    > propose 1
    > run
    1 writes 2/1
    2 writes t1 vote 1 commit 1
    2 writes 2/1
    1 writes t1 vote 1 commit 2
    > propose 1
    > run
    1 writes 3/1
    2 writes t1 vote 1 commit 2
    2 writes 3/1
    1 writes t1 vote 1 commit 3
    > cutlog 1 0
    > up 3
    > tick 1 2
    > take 1
    1>2 heartbeat t1 round 1 commit 3
    1>3 heartbeat t1 round 1 commit 1
    > deliver
    > take 2
    2 writes t1 vote 1 commit 3
    2>1 heartbeatReply t1 round 1 last 3
    > take 3
    3 is follower t1 leader 1
    3 writes t1 vote 1 commit 1
    3>1 heartbeatReply t1 round 1 last 1
    > deliver
    > take 1
    1>3 append t1 after 3/1 [] commit 3
    > tick 1 4
    > take 1
    1>2 heartbeat t1 round 2 commit 3
    1>3 heartbeat t1 round 2 commit 0
    > cut 2
    > deliver
    > take 3
    3>1 appendRejected t1 at 3 hint 1/1
    3>1 heartbeatReply t1 round 2 last 1
    > deliver
    > take 1
    1 asks for a snapshot to 3
    > sync 3
    > sync 3
    > stream
    > take 3
    3 writes t1 vote 1 commit 3
    3 switches to 3/1
    > sync 3
    3>1 appendAccepted t1 match 3
    > deliver
    > propose 1
    > take 1
    1 writes 4/1
    1>2 append t1 after 3/1 [1] commit 3
    1>3 append t1 after 3/1 [1] commit 3
  `,
  'a transfer: the one that has the whole log campaigns at once': `
    > elect 1
    > propose 1
    > take 1
    1 writes 2/1
    1>2 append t1 after 1/1 [1] commit 1
    1>3 append t1 after 1/1 [1] commit 1
    > transfer 1 2
    > take 1
    > deliver
    > take 2
    2 writes t1 vote 1 commit 1
    2 writes 2/1
    > sync 2
    2>1 appendAccepted t1 match 2
    > cut 3
    > deliver
    > take 1
    1>2 timeoutNow t1
    > cut 3
    > deliver
    > take 2
    2 is candidate t2 leader -
    2 writes t2 vote 2 commit 1
    > sync 2
    2>1 vote t2 log 2/1
    2>3 vote t2 log 2/1
    > sync 2
    > deliver
    > take 3
    3 is follower t2 leader -
    3 writes t2 vote 2 commit 1
    3 writes 2/1
    > sync 3
    3>2 voteReply t2 yes
    > cut 1
    > deliver
    > take 2
    2 is leader t2 leader 2
    2 writes 3/2
    2>1 append t2 after 2/1 [2] commit 1
    2>3 append t2 after 2/1 [2] commit 1
  `,
  'a learner: a replica without a state gets a snapshot, then the log, and is promoted through a joint configuration': `
    > elect 1
    > place 4
    > change 1 123 - 4
    > take 1
    1 writes 2/1
    1>2 append t1 after 1/1 [1] commit 1
    1>3 append t1 after 1/1 [1] commit 1
    1>4 append t1 after 2/1 [] commit 1
    > deliver
    > take 2
    2 writes t1 vote 1 commit 1
    2 writes 2/1
    > sync 2
    2>1 appendAccepted t1 match 2
    > take 4
    4 is follower t1 leader 1
    4 writes t1 vote - commit 0
    > sync 4
    4>1 appendRejected t1 at 2 needs a snapshot
    > sync 1
    > deliver
    > take 1
    1 writes t1 vote 1 commit 2
    1 asks for a snapshot to 4
    > stream
    > take 4
    4 writes t1 vote - commit 1
    4 switches to 1/1
    > sync 4
    4>1 appendAccepted t1 match 1
    > deliver
    > run
    3 writes t1 vote 1 commit 1
    3 writes 2/1
    4 writes t1 vote - commit 2
    4 writes 2/1
    > change 1 124 123 -
    > take 1
    1 writes 3/1
    1>2 append t1 after 2/1 [1] commit 2
    1>3 append t1 after 2/1 [1] commit 2
    1>4 append t1 after 2/1 [1] commit 2
    > run
    2 writes t1 vote 1 commit 2
    2 writes 3/1
    3 writes t1 vote 1 commit 2
    3 writes 3/1
    4 writes 3/1
    1 writes t1 vote 1 commit 3
    > change 1 124 - -
    > take 1
    1 writes 4/1
    1>2 append t1 after 3/1 [1] commit 3
    1>4 append t1 after 3/1 [1] commit 3
    > run
    2 writes t1 vote 1 commit 3
    2 writes 4/1
    4 writes t1 vote - commit 3
    4 writes 4/1
    1 writes t1 vote 1 commit 4
  `,
  'a joint change: an entry needs majorities of both sets': `
    > elect 1
    > place 4
    > change 1 123 - 4
    > run
    1 writes 2/1
    2 writes t1 vote 1 commit 1
    2 writes 2/1
    3 writes t1 vote 1 commit 1
    3 writes 2/1
    4 is follower t1 leader 1
    4 writes t1 vote - commit 0
    1 writes t1 vote 1 commit 2
    1 asks for a snapshot to 4
    4 writes t1 vote - commit 2
    4 switches to 2/1
    > change 1 14 123 -
    > take 1
    1 writes 3/1
    1>2 append t1 after 2/1 [1] commit 2
    1>3 append t1 after 2/1 [1] commit 2
    1>4 append t1 after 2/1 [1] commit 2
    > sync 1
    > cut 3
    > cut 4
    > deliver
    > take 2
    2 writes t1 vote 1 commit 2
    2 writes 3/1
    > sync 2
    2>1 appendAccepted t1 match 3
    > deliver
    > take 1
    > change 1 14 - -
    refused
    > tick 1 4
    > run
    3 writes t1 vote 1 commit 2
    3 writes 3/1
    4 writes 3/1
    1 writes t1 vote 1 commit 3
    > tick 1 4
    > run
    2 writes t1 vote 1 commit 3
    3 writes t1 vote 1 commit 3
    4 writes t1 vote - commit 3
    > change 1 123 - -
    refused
    > change 1 14 - -
    > take 1
    1 writes 4/1
    1>4 append t1 after 3/1 [1] commit 3
    > run
    4 writes 4/1
    1 writes t1 vote 1 commit 4
  `,
}
