export const STYLE = `
body { font: 14px system-ui, sans-serif; margin: 16px }
h1 { font-size: 18px }
canvas { border: 1px solid #ccc; width: 100%; display: block }
pre { margin: 4px 0; padding: 6px; white-space: pre-wrap; border-left: 4px solid #c00; background: #fee; cursor: pointer }
#findings.none { color: #060 }
#details { min-height: 3em; font-family: monospace; white-space: pre-wrap }
`

/** Runs in the page, with `data` as timeline.ts lays it out. Plain JavaScript of browsers. */
export const SCRIPT = `
const [AT, CLIENT, WHAT, KEY, STATUS, START, END, BAD] = [0, 1, 2, 3, 4, 5, 6, 7]
const colours = { ok: '#4a8', fail: '#999', info: '#da3' }
const LANE = 14, TOP = 20
const canvas = document.getElementById('canvas'), pen = canvas.getContext('2d')
const details = document.getElementById('details'), filter = document.getElementById('filter')
const end = Math.max(1, ...data.faults.map((fault) => fault[2]), data.rows.reduce((last, row) => Math.max(last, row[END]), 0))
const begin = Math.min(end - 1, ...data.faults.map((fault) => fault[1]), data.rows.reduce((first, row) => Math.min(first, row[START]), end))
let view = { from: begin, to: end }, lanes = 0, faultLanes = 0, rows = []

/** Calls that overlap lie in different lanes. */
function layOut(items, start, stop) {
  const free = []
  for (const item of items) {
    let lane = free.findIndex((time) => time <= item[start])
    if (lane === -1) lane = free.length
    free[lane] = item[stop]
    item.lane = lane
  }
  return free.length
}

function choose() {
  rows = data.rows.filter((row) => row[KEY].includes(filter.value))
  lanes = layOut(rows, START, END)
  faultLanes = layOut(data.faults, 1, 2)
  canvas.width = canvas.clientWidth
  canvas.height = TOP + (faultLanes + lanes) * LANE + 4
  draw()
}

const x = (time) => ((time - view.from) / (view.to - view.from)) * canvas.width
const timeAt = (place) => view.from + (place / canvas.width) * (view.to - view.from)

function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height)
  pen.font = '11px monospace'
  for (let tick = 0; tick <= 10; tick++) {
    const time = view.from + (tick / 10) * (view.to - view.from)
    pen.fillStyle = '#555'
    pen.fillText((time / 1e9).toFixed(3) + ' s', x(time) + 2, 12)
    pen.fillRect(x(time), 0, 1, canvas.height)
  }
  for (const fault of data.faults) bar(fault, 1, 2, TOP + fault.lane * LANE, '#c8d', fault[0])
  for (const row of rows) {
    if (row[END] < view.from || row[START] > view.to) continue
    const colour = row[BAD] ? '#e00' : colours[row[STATUS]]
    bar(row, START, END, TOP + (faultLanes + row.lane) * LANE, colour, row[KEY] + ' ' + row[WHAT])
    if (row[BAD]) {
      pen.strokeStyle = '#000'
      pen.strokeRect(x(row[START]) - 1, TOP + (faultLanes + row.lane) * LANE, Math.max(4, x(row[END]) - x(row[START])) + 2, LANE - 2)
    }
  }
}

function bar(item, start, stop, y, colour, text) {
  const left = x(item[start]), width = Math.max(2, x(item[stop]) - left)
  pen.fillStyle = colour
  pen.fillRect(left, y + 1, width, LANE - 3)
  if (width < 60) return
  pen.fillStyle = '#000'
  pen.fillText(text.slice(0, width / 7), Math.max(left, 0) + 2, y + LANE - 4)
}

function under(event) {
  const place = canvas.getBoundingClientRect()
  const time = timeAt(event.clientX - place.left), lane = Math.floor((event.clientY - place.top - TOP) / LANE)
  const slack = (view.to - view.from) / canvas.width * 3
  const hit = (item, start, stop) => item[start] - slack <= time && time <= item[stop] + slack
  const fault = data.faults.find((each) => each.lane === lane && hit(each, 1, 2))
  if (fault) return fault[0] + '\\n' + (fault[1] / 1e9).toFixed(6) + ' to ' + (fault[2] / 1e9).toFixed(6) + ' s'
  const row = rows.find((each) => each.lane === lane - faultLanes && hit(each, START, END))
  if (!row) return ''
  const times = (row[START] / 1e9).toFixed(6) + ' to ' + (row[STATUS] === 'info' ? '…' : (row[END] / 1e9).toFixed(6)) + ' s'
  return '#' + row[AT] + ' client ' + row[CLIENT] + ' ' + row[KEY] + ': ' + row[WHAT] + ' (' + row[STATUS] + ')\\n' + times
}

canvas.addEventListener('wheel', (event) => {
  event.preventDefault()
  const middle = timeAt(event.offsetX), factor = event.deltaY > 0 ? 1.3 : 1 / 1.3
  view = { from: Math.max(begin, middle - (middle - view.from) * factor), to: Math.min(end, middle + (view.to - middle) * factor) }
  draw()
})
canvas.addEventListener('mousemove', (event) => {
  if (event.buttons === 1) {
    const shift = (event.movementX / canvas.width) * (view.to - view.from)
    view = { from: view.from - shift, to: view.to - shift }
    draw()
  } else details.textContent = under(event)
})
canvas.addEventListener('dblclick', () => {
  view = { from: begin, to: end }
  draw()
})
filter.addEventListener('input', choose)
window.addEventListener('resize', choose)

const findings = document.getElementById('findings')
if (data.findings.length === 0) {
  findings.className = 'none'
  findings.textContent = 'Nothing that should not be.'
}
for (const { what, places } of data.findings) {
  const box = document.createElement('pre')
  box.textContent = what
  box.addEventListener('click', () => {
    const marked = data.rows.filter((row) => places.includes(row[AT]))
    if (marked.length === 0) return
    const from = Math.min(...marked.map((row) => row[START])), to = Math.max(...marked.map((row) => row[END]))
    view = { from: from - (to - from) * 0.2 - 1e6, to: to + (to - from) * 0.2 + 1e6 }
    draw()
  })
  findings.append(box)
}
if (data.left > 0) document.getElementById('left').textContent = '(' + data.left + ' operations are not shown)'
choose()
`
