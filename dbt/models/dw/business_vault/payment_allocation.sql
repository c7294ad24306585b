{{ config(
    incremental_strategy='renew',
    unique_key=['loan_hk', 'number', 'loan_transaction_hk'],
    meta={'affected_key': 'loan_hk'},
    pre_hook="{{ note_affected(affected_loans()) }}",
    indexes=[{'columns': ['loan_hk', 'number', 'loan_transaction_hk'], 'unique': true}],
) }}

{{ with_affected('loan_hk') }}
loan_movement as {{ rows_of(ref('loan_movement')) }},
instalment_schedule as {{ rows_of(ref('instalment_schedule')) }},

payments as (
    select
        m.loan_hk,
        m.loan_transaction_hk,
        m.transaction_id,
        m.effective_on,
        m.amount,
        sum(m.amount) over (
            partition by m.loan_hk order by m.effective_on, m.recorded_at, m.transaction_id rows unbounded preceding
        ) as paid_after
    from loan_movement as m
    where m.effect = 'payment' and m.reverses is null and m.reversed_on is null
    {%- if is_incremental() %} and m.loan_hk in (select a.loan_hk from affected as a){% endif %}
),

-- The money of a loan and its debts lie along one line each, oldest first; a payment meets the debts beside it.
met as (
    select
        p.loan_hk,
        i.number,
        p.loan_transaction_hk,
        p.transaction_id,
        p.effective_on,
        i.interest,
        i.due_before,
        {{ larger('p.paid_after - p.amount', 'i.due_before') }} as from_amount,
        {{ smaller('p.paid_after', 'i.due_after') }} as to_amount
    from payments as p
    inner join instalment_schedule as i
        on i.loan_hk = p.loan_hk and i.due_before < p.paid_after and i.due_after > p.paid_after - p.amount
),

split as (
    select
        m.*,
        -- Of an instalment the interest is paid first.
        {{ smaller('m.to_amount', 'm.due_before + m.interest') }} - {{ smaller('m.from_amount', 'm.due_before + m.interest') }} as interest_amount
    from met as m
),

final as (
    select
        s.loan_hk,
        s.number,
        s.loan_transaction_hk,
        s.transaction_id,
        s.effective_on,
        cast(s.to_amount - s.from_amount as numeric(38, 4)) as amount,
        cast(s.interest_amount as numeric(38, 4)) as interest_amount,
        cast(s.to_amount - s.from_amount - s.interest_amount as numeric(38, 4)) as principal_amount
    from split as s
)

select * from final
