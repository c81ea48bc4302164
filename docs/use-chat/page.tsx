import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport, type UIMessage } from 'ai';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';

const transport = new DefaultChatTransport({ api: '/api/chat' });

function textOf({ parts }: UIMessage): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

function Chat({ id }: { id: string }) {
  const { messages, sendMessage, status, error } = useChat({ id, transport, resume: true });
  const [input, setInput] = useState('Write a story.');
  const stop = () => fetch(`/api/chat/${id}/stop`, { method: 'POST' });
  return (
    <>
      {messages.map((message) => (
        <p key={message.id} className={message.role}>
          {textOf(message)}
        </p>
      ))}
      <input value={input} onChange={({ target }) => setInput(target.value)} />
      <button type="button" onClick={() => sendMessage({ text: input })}>
        Ask
      </button>
      <button type="button" onClick={stop}>
        Stop
      </button>
      <output>{error === undefined ? status : `error: ${error.message}`}</output>
    </>
  );
}

/** The chat of this URL; your app has one for each conversation. */
const id = location.hash.slice(1) || 'chat-1';

createRoot(document.querySelector('main') as Element).render(<Chat id={id} />);
