import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { sharedStream, useEventStream, useSharedStream } from './use-event-stream.ts';

interface PriceEvents {
  price: { symbol: string; price: number };
}

const prices = sharedStream<Record<string, number>, PriceEvents>(
  '/prices',
  {},
  {
    price: (all, { symbol, price }) => ({ ...all, [symbol]: price }),
  },
);

function Price({ symbol }: { symbol: string }) {
  const { state, value } = useSharedStream(prices);
  return <p className="price">{`${symbol} ${value[symbol] ?? '…'} ${state}`}</p>;
}

function Job() {
  const [percent, setPercent] = useState(0);
  const state = useEventStream<{ progress: { percent: number } }>('/job', {
    progress: (progress) => setPercent(progress.percent),
  });
  return <p className="job">{`${percent} % ${state}`}</p>;
}

function Page() {
  const [isOpen, setOpen] = useState(true);
  return (
    <>
      <button type="button" onClick={() => setOpen(!isOpen)}>
        {isOpen ? 'Unmount' : 'Mount'}
      </button>
      {isOpen && ['ACME', 'INIT'].map((symbol) => <Price key={symbol} symbol={symbol} />)}
      {isOpen && <Job />}
    </>
  );
}

createRoot(document.body).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
