// node draw.mjs BROWSER REPOSITORY SCRATCH: what the script beside it asks for. Markdown is shown nearly as GitHub shows
// it: its grammar, its style sheet, its library of charts.
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import markdownIt from 'markdown-it'
import puppeteer from 'puppeteer-core'
import sharp from 'sharp'

const [browserPath, repository, scratch] = process.argv.slice(2)
const library = name => createRequire(import.meta.url).resolve(name)
const style = library('github-markdown-css/github-markdown.css')
const mermaid = path.join(path.dirname(library('mermaid')), 'mermaid.min.js')
const markdown = markdownIt({ html: true, linkify: true })

// page returns a Markdown file as a page whose pictures are beside that file.
function page(file, scheme) {
  const body = markdown.render(fs.readFileSync(file, 'utf8')).replace(
    /<pre><code class="language-mermaid">([^]*?)<\/code><\/pre>/g, '<pre class="mermaid">$1</pre>')
  return `<!doctype html><meta charset="utf-8"><base href="file://${path.dirname(file)}/">
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="file://${style}">
<style>
  body { margin: 0; padding: 24px; background: ${scheme === 'dark' ? '#0d1117' : '#fff'} }
  pre.mermaid { background: none; text-align: center }
  @media (max-width: 767px) { body { padding: 15px } }
</style>
<article class="markdown-body">${body}</article>
<script src="file://${mermaid}"></script>
<script>
  mermaid.initialize({ startOnLoad: false, theme: '${scheme === 'dark' ? 'dark' : 'default'}' })
  mermaid.run().then(() => document.title = 'drawn', problem => document.title = 'failed: ' + problem.message)
</script>`
}

const browser = await puppeteer.launch({ executablePath: browserPath, args: ['--no-sandbox', '--hide-scrollbars'] })

// open shows a file, HTML or Markdown, in a window of that width.
async function open(file, width, scheme) {
  const tab = await browser.newPage()
  await tab.setViewport({ width, height: 800, deviceScaleFactor: width > 800 ? 1.5 : 1 })
  await tab.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  if (file.endsWith('.html')) {
    await tab.goto('file://' + file)
    return tab
  }
  const rendered = path.join(scratch, 'page.html')
  fs.writeFileSync(rendered, page(file, scheme))
  await tab.goto('file://' + rendered)
  await tab.waitForFunction('document.title')
  const title = await tab.title()
  if (title !== 'drawn') throw new Error(`${file}: a chart ${title}`)
  return tab
}

// draw writes a picture of the top of a page, as far as an expression of the page says, in few colours.
async function draw(file, name, width, bottom) {
  for (const scheme of ['light', 'dark']) {
    const tab = await open(file, width, scheme)
    const height = Math.ceil(await tab.evaluate(bottom))
    const whole = await tab.screenshot({ clip: { x: 0, y: 0, width, height } })
    const target = path.join(repository, '.github', 'images', `${name}-${scheme}.png`)
    await sharp(whole).png({ palette: true, colours: 64, effort: 10, compressionLevel: 9 }).toFile(target)
    console.log(`${path.relative(repository, target)}: ${fs.statSync(target).size} bytes`)
    await tab.close()
  }
}

// check finds what is wider than its place: a page that scrolls sideways, and a line of text that is cut off. Tables and
// code scroll by themselves, as they do on GitHub.
async function check(file, width) {
  const tab = await open(file, width, 'light')
  const wide = await tab.evaluate(() => {
    const found = []
    const page = document.documentElement
    if (page.scrollWidth > page.clientWidth) found.push(`the page is ${page.scrollWidth} wide`)
    for (const part of document.querySelectorAll('.markdown-body :is(p, li, h1, h2, h3, svg, img)')) {
      if (part.closest('table')) continue
      const right = part.getBoundingClientRect().right
      if (right > page.clientWidth || part.scrollWidth > part.clientWidth + 1 && part.matches('p, li, h1, h2, h3'))
        found.push(`wider than its place: ${part.textContent.trim().slice(0, 80)}`)
    }
    for (const picture of document.images) if (!picture.naturalWidth) found.push(`no picture: ${picture.src}`)
    return found
  })
  await tab.close()
  for (const line of wide) console.error(`${path.relative(repository, file)} at ${width}: ${line}`)
  return wide.length === 0
}

let good = true
try {
  const summary = path.join(scratch, 'rotation', 'summary.md')
  if (fs.existsSync(summary)) {
    await draw(summary, 'rotation', 1180, 'document.querySelector("svg").getBoundingClientRect().bottom + 24')
    await draw(path.join(scratch, 'audit', 'audit', 'vaults.html'), 'audit', 1180, '900')
  }
  for (const width of [360, 1280]) good = await check(path.join(repository, 'README.md'), width) && good
} finally {
  await browser.close()
}
if (!good) process.exit(1)
console.log('README fits 360 and 1280 pixels')
